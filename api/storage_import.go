package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// ImportRequest asks for an import.
type ImportRequest struct {
	DryRun bool `json:"dry_run,omitempty" doc:"Only count what would be imported"`
}

// ImportCounts is what an import found, each manifest in one count.
type ImportCounts struct {
	DryRun   bool  `json:"dry_run"`
	Found    int64 `json:"found" doc:"Manifests on the storage location"`
	Imported int64 `json:"imported" doc:"New in the catalogue; with dry_run: would be"`
	Known    int64 `json:"known" doc:"In the catalogue already"`
	Replicas int64 `json:"replicas" doc:"Copies of backups of another storage location"`
	Damaged  int64 `json:"damaged"`
	Skipped  int64 `json:"skipped" doc:"No identity opens them, or another attempt of the backup is in the catalogue"`

	Incomplete int64    `json:"incomplete" doc:"Of imported and replicas: objects are missing or have another size; they are marked as not verifying"`
	Messages   []string `json:"messages" nullable:"false" doc:"Why, for each damaged, skipped or incomplete one; the first 200"`
}

// ImportState is how far the newest import of a storage location is.
type ImportState struct {
	Status      string        `json:"status" enum:"running,completed,failed"`
	WorkflowID  string        `json:"workflow_id"`
	TemporalURL string        `json:"temporal_url,omitempty"`
	Result      *ImportCounts `json:"result,omitempty" doc:"When completed"`
	Message     string        `json:"message,omitempty" doc:"Why it failed"`
}

type importInput struct {
	ID   string `path:"id" format:"uuid" doc:"Its id"`
	Body ImportRequest
}

func (s *server) registerStorageImport() {
	tags, path := []string{"Storage locations"}, "/api/storage-locations/{id}/import"
	register(s, requires(auth.StorageWrite), huma.Operation{
		OperationID: "import-storage-location", Method: http.MethodPost, Path: path, Tags: tags,
		Summary: "Put the backups that a storage location holds back into the catalogue",
		Description: "A worker reads every manifest on the location, and looks for every object that it names; 202, and GET tells how it went. Known backups stay as they are, so it may be repeated. " +
			"A backup that no identity of this installation opens is skipped: import the identity of the lost installation first (POST /api/system/identities).",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
	}, s.startImport)
	register(s, requires(auth.StorageRead), huma.Operation{
		OperationID: "get-storage-location-import", Method: http.MethodGet, Path: path, Tags: tags,
		Summary: "How the newest import of a storage location went", Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, s.getImport)
}

func (s *server) startImport(ctx context.Context, in *importInput) (*body[ImportState], error) {
	row, err := s.db.GetStorageLocation(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "storage location", in.ID)
	}
	entry := audited(ctx, "storage_location.import", "storage_location", row.ID, map[string]any{"dry_run": in.Body.DryRun})
	if err := s.announce(ctx, entry); err != nil {
		return nil, err
	}
	id := contract.ImportWorkflowID(row.ID)
	if err := s.startImportWorkflow(ctx, row, in.Body.DryRun); err != nil {
		return nil, s.notDone(ctx, entry, err)
	}
	return &body[ImportState]{ImportState{Status: "running", WorkflowID: id, TemporalURL: s.temporalURL(id)}}, nil
}

// startImportWorkflow starts the workflow, of which one runs at a time for each location.
func (s *server) startImportWorkflow(ctx context.Context, row db.StorageLocation, dryRun bool) error {
	starting, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	_, err := contract.ImportStorage.Start(starting, s.temporal, client.StartWorkflowOptions{
		ID: contract.ImportWorkflowID(row.ID), TaskQueue: contract.TaskQueue(row.Pool), WorkflowExecutionErrorWhenAlreadyStarted: true,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         "Import the backups on " + row.Name,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			contract.SearchOperation.ValueSet("import"), contract.SearchStorage.ValueSet(row.Name)),
	}, contract.ImportInput{StorageLocationID: row.ID, DryRun: dryRun, Labels: contract.Labels{Storage: row.Name}})
	var running *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &running) {
		return problem.New(http.StatusConflict, fmt.Sprintf("An import of %s is running; wait for its end.", row.Name))
	}
	if err != nil {
		return s.temporalDown(ctx, "start the import", err)
	}
	return nil
}

func (s *server) getImport(ctx context.Context, in *ByID) (*body[ImportState], error) {
	row, err := s.db.GetStorageLocation(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "storage location", in.ID)
	}
	id := contract.ImportWorkflowID(row.ID)
	asking, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	described, err := s.temporal.DescribeWorkflowExecution(asking, id, "")
	var unknown *serviceerror.NotFound
	if errors.As(err, &unknown) {
		return nil, problem.New(http.StatusNotFound, "This storage location was not imported lately; POST to this address imports it.")
	}
	if err != nil {
		return nil, s.temporalDown(ctx, "look at the import", err)
	}
	state := ImportState{Status: "running", WorkflowID: id, TemporalURL: s.temporalURL(id)}
	if described.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return &body[ImportState]{state}, nil
	}
	var result contract.ImportResult
	if err := s.temporal.GetWorkflow(asking, id, described.GetWorkflowExecutionInfo().GetExecution().GetRunId()).Get(asking, &result); err != nil {
		if asking.Err() != nil {
			return nil, s.temporalDown(ctx, "read the result of the import", err)
		}
		state.Status, state.Message = "failed", failure.Redact(causeOf(err))
		return &body[ImportState]{state}, nil
	}
	counts := ImportCounts(result)
	state.Status, state.Result = "completed", &counts
	return &body[ImportState]{state}, nil
}

// causeOf is the innermost message of a failed workflow, without what Temporal puts around it, and
// what to do about it.
func causeOf(err error) string {
	var application *temporal.ApplicationError
	if !errors.As(err, &application) {
		return err.Error()
	}
	text, hint := application.Message(), ""
	if application.HasDetails() && application.Details(&hint) == nil && hint != "" {
		text += ". " + hint
	}
	return text
}
