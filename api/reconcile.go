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
)

// Removed counts files.
type Removed struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

// ReconcileReport is what a comparison of a storage location with the catalogue found.
type ReconcileReport struct {
	DryRun              bool     `json:"dry_run" doc:"Nothing was removed; the counts are what would be"`
	Objects             int64    `json:"objects" doc:"Chunks that are there"`
	Bytes               int64    `json:"bytes" doc:"Of those"`
	Manifests           int64    `json:"manifests"`
	Deletions           int64    `json:"deletions" doc:"Deletions that had been interrupted, and were finished"`
	DeletionsFailed     int64    `json:"deletions_failed" doc:"Of those, how many could not be finished now"`
	Orphans             Removed  `json:"orphans" doc:"Objects older than a day that nothing refers to"`
	Leftovers           Removed  `json:"leftovers" doc:"What failed and cancelled backups left"`
	UnknownBackups      int64    `json:"unknown_backups" doc:"Manifests that the catalogue does not know, or knows as a run whose workflow was lost; they are kept with all they name"`
	UnreadableManifests []string `json:"unreadable_manifests" nullable:"false" doc:"Nothing of their datasources was removed; the first ten"`
	More                bool     `json:"more" doc:"There are more orphans than one run removes; run it again"`
}

type reconcileBody struct {
	DryRun *bool `json:"dry_run,omitempty" doc:"Count only, remove nothing; default true"`
}

type reconcileInput struct {
	ID   string         `path:"id" format:"uuid" doc:"Its id"`
	Body *reconcileBody `required:"false"`
}

func (s *server) registerReconcile() {
	register(s, requires(auth.StorageWrite), huma.Operation{
		OperationID: "reconcile-storage-location", Method: http.MethodPost, Path: "/api/storage-locations/{id}/reconcile", Tags: []string{"Storage locations"},
		Summary: "Find and remove what no backup needs",
		Description: "Finishes deletions that were interrupted, and removes what failed backups left and objects older than a day that no backup refers to. " +
			"A worker does it; the answer is its report. It also runs once a day by itself. While one is running: 409. When it takes longer than this request waits: 504, and it goes on.",
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout},
	}, s.reconcileStorage)
}

func (s *server) reconcileStorage(ctx context.Context, in *reconcileInput) (*body[ReconcileReport], error) {
	dryRun := in.Body == nil || in.Body.DryRun == nil || *in.Body.DryRun
	row, entry, err := s.changeable(ctx, in.ID, "storage_location.reconcile", map[string]any{"dry_run": dryRun})
	if err != nil {
		return nil, err
	}
	run, err := s.startReconcile(ctx, row, dryRun)
	if err != nil {
		return nil, s.notDone(ctx, entry, err)
	}
	result, err := awaitRun[contract.ReconcileResult](ctx, s, run, row.Pool)
	if err != nil {
		return nil, err
	}
	return &body[ReconcileReport]{viewReconcile(result)}, nil
}

func (s *server) startReconcile(ctx context.Context, row db.StorageLocation, dryRun bool) (client.WorkflowRun, error) {
	starting, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	run, err := contract.Reconcile.Start(starting, s.temporal, client.StartWorkflowOptions{
		ID:                                       contract.ReconcileWorkflowID(row.ID),
		TaskQueue:                                contract.TaskQueue(row.Pool),
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            "Reconcile storage location " + row.Name,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			contract.SearchOperation.ValueSet("reconcile"), contract.SearchStorage.ValueSet(row.Name)),
	}, contract.ReconcileInput{StorageID: row.ID, DryRun: dryRun, Labels: contract.Labels{Storage: row.Name}})
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	switch {
	case errors.As(err, &started):
		return nil, problem.New(http.StatusConflict, fmt.Sprintf("Storage location %q is being reconciled already; try again when that has ended.", row.Name))
	case err != nil:
		return nil, s.temporalDown(ctx, "start the reconciliation", err)
	}
	return run, nil
}

func viewReconcile(r contract.ReconcileResult) ReconcileReport {
	report := ReconcileReport{
		DryRun: r.DryRun, Objects: r.Objects, Bytes: r.Bytes, Manifests: r.Manifests,
		Deletions: r.Deletions, DeletionsFailed: r.DeletionsFailed, Orphans: Removed(r.Orphans), Leftovers: Removed(r.Leftovers),
		UnknownBackups: r.UnknownBackups, UnreadableManifests: []string{}, More: r.More,
	}
	report.UnreadableManifests = append(report.UnreadableManifests, r.Unreadable...)
	return report
}
