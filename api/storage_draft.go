package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// StorageLocationDraft is a storage location that is not saved.
type StorageLocationDraft struct {
	Type              domain.StorageLocationType `json:"type" enum:"local,s3,ssh,minio,backblaze"`
	Pool              string                     `json:"pool,omitempty" maxLength:"63" doc:"Workers that reach it; default: default"`
	Config            domain.StorageConfig       `json:"config"`
	StorageLocationID string                     `json:"storage_location_id,omitempty" format:"uuid" doc:"The saved location that this is to change: a secret that is ******** is taken from it, as PATCH does"`
}

func (s *server) registerStorageDraft() {
	register(s, requires(auth.StorageWrite), huma.Operation{
		OperationID: "test-storage-location-draft", Method: http.MethodPost, Path: "/api/storage-locations/test", Tags: []string{"Storage locations"},
		Summary: "Test a storage location before it is saved",
		Description: "A worker of the pool writes, reads back, lists and deletes a probe. 200 with status tells the outcome, good or bad; 503 when no worker serves the pool. " +
			"A local directory whose parent is there is made. " +
			"For an SSH server without `host_key` the answer shows the server's `host_key` and its fingerprint, to be compared and sent.",
		Errors: []int{http.StatusNotFound, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout},
	}, s.testStorageDraft)
}

func (s *server) testStorageDraft(ctx context.Context, in *body[StorageLocationDraft]) (*body[CheckResult], error) {
	draft, stored := in.Body, db.StorageLocation{Type: in.Body.Type}
	if draft.StorageLocationID != "" {
		var err error
		if stored, err = s.db.GetStorageLocation(ctx, draft.StorageLocationID); err != nil {
			return nil, missingField(err, "storage_location_id", "storage location", draft.StorageLocationID)
		}
	}
	row := db.StorageLocation{Type: stored.Type, Config: stored.Config}
	// Any name: it is not saved.
	if err := (StorageLocationDocument{Name: "draft", Type: draft.Type, Pool: draft.Pool, Config: draft.Config}).fill(&row).OrNil(); err != nil {
		return nil, err
	}
	changes := map[string]any{"type": row.Type, "pool": row.Pool, "config": maskedStorage(row.Config)}
	if err := s.announce(ctx, audited(ctx, "storage_location.test_draft", "storage_location", stored.ID, changes)); err != nil {
		return nil, err
	}
	result, err := s.checkDraft(ctx, row)
	return &body[CheckResult]{result}, err
}

// checkDraft runs the test of a location that is not saved. Its configuration goes through Temporal
// sealed, as a whole.
func (s *server) checkDraft(ctx context.Context, row db.StorageLocation) (CheckResult, error) {
	id := uuid.NewString()
	sealed, err := s.db.SealStorageDraft(ctx, id, db.StorageDraft{Type: row.Type, Config: row.Config})
	if err != nil {
		return CheckResult{}, err
	}
	starting, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	run, err := contract.CheckStorageDraft.Start(starting, s.temporal, client.StartWorkflowOptions{
		ID: contract.CheckStorageWorkflowID(id), TaskQueue: contract.TaskQueue(row.Pool), WorkflowExecutionTimeout: s.opts.TestTimeout,
		StaticSummary:         "Test a storage location of type " + string(row.Type) + " that is not saved",
		TypedSearchAttributes: temporal.NewSearchAttributes(contract.SearchOperation.ValueSet("test")),
	}, contract.StorageDraftInput{ID: id, Sealed: sealed})
	if err != nil {
		return CheckResult{}, s.temporalDown(ctx, "start the test", err)
	}
	result, err := awaitRun[contract.CheckResult](ctx, s, run, row.Pool)
	if err != nil {
		return CheckResult{}, err
	}
	return viewCheck(result, true), nil
}

// confirmHostKey refuses a new SSH location without the server's key, and shows the key, if a worker
// can see it, to be confirmed: whoever is asked for it by an address alone may be anybody.
func (s *server) confirmHostKey(ctx context.Context, row db.StorageLocation) error {
	if row.Type != domain.StorageSSH || row.Config.HostKey != "" {
		return nil
	}
	result, err := s.checkDraft(ctx, row)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return invalidField("config.host_key", "is required: the server's public key, which ssh-keyscan prints; no worker could look it up (%s)", err)
	case result.HostKeyFingerprint == "":
		return invalidField("config.host_key", "is required: the server's public key; the worker did not see it (%s)", result.Message)
	default:
		return invalidField("config.host_key", "is required: the server shows the key with the fingerprint %s; compare it with the server's own and send %q",
			result.HostKeyFingerprint, result.HostKey)
	}
}
