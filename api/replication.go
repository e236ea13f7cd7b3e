package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/reconcile"
)

func (s *server) registerReplication() {
	register(s, requires(auth.ExecutionsControl), huma.Operation{
		OperationID: "retry-upload", Method: http.MethodPost, Path: "/api/executions/{id}/retry-upload", Tags: []string{"Executions"},
		Summary: "Copy a backup to the targets that lack it",
		Description: "For a completed backup of a job with `storage_strategy` `replicate`: starts the copying to each of its storage locations that has no whole copy. " +
			"Answers at once; `metadata.storage_results` says how it ends. 409 when every location has it, or the copying runs already.",
		DefaultStatus: http.StatusAccepted,
		Errors:        []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
	}, s.retryUpload)
}

func (s *server) retryUpload(ctx context.Context, in *ByID) (*accepted, error) {
	row, err := s.replicated(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	lacking, err := s.lackingTargets(ctx, row)
	if err != nil {
		return nil, err
	}
	if len(lacking) == 0 {
		return nil, problem.New(http.StatusConflict, fmt.Sprintf("Every storage location of backup %s has it already.", row.ID))
	}
	idle, err := s.notBeingCopied(ctx, row, lacking)
	if err != nil {
		return nil, err
	}
	if len(idle) == 0 {
		return nil, problem.New(http.StatusConflict, fmt.Sprintf("Backup %s is being copied already.", row.ID))
	}
	entry, err := s.announceCopies(ctx, row, idle)
	if err != nil {
		return nil, err
	}
	// From here on the results say pending and must come to an end, whether or not the client still waits.
	if err := s.startCopies(context.WithoutCancel(ctx), row, idle); err != nil {
		return nil, s.notDone(ctx, entry, err)
	}
	if row, err = s.execution(ctx, in.ID); err != nil {
		return nil, err
	}
	return &accepted{Location: "/api/executions/" + row.ID, Body: viewExecution(row)}, nil
}

// replicated reads a backup and refuses one that has no further locations to be copied to.
func (s *server) replicated(ctx context.Context, id string) (db.Execution, error) {
	row, err := s.execution(ctx, id)
	options := row.Metadata.Options
	switch {
	case err != nil:
		return row, err
	case row.Metadata.Operation != domain.OperationBackup || options == nil || options.StorageStrategy != domain.StrategyReplicate:
		return row, problem.New(http.StatusConflict, fmt.Sprintf("Execution %s is not a backup with storage_strategy replicate.", id))
	case row.Status != domain.Completed:
		return row, problem.New(http.StatusConflict, fmt.Sprintf("Backup %s is %s; only a completed backup can be copied.", id, row.Status))
	case row.DeletingAt != nil:
		return row, problem.New(http.StatusConflict, fmt.Sprintf("Backup %s is being deleted.", id))
	case row.StorageLocationID == nil || row.DatasourceID == nil:
		return row, problem.New(http.StatusConflict, fmt.Sprintf("The datasource or the storage location of backup %s is gone.", id))
	}
	return row, nil
}

// lackingTargets are the storage locations that a backup was to be on, and is not.
func (s *server) lackingTargets(ctx context.Context, row db.Execution) ([]db.StorageLocation, error) {
	ids := row.Metadata.Options.Targets()
	for _, r := range row.Metadata.StorageResults { // the job's own location too, when it failed
		ids = append(ids, r.StorageLocationID)
	}
	copies, err := s.db.ListCopies(ctx, row.ID)
	if err != nil {
		return nil, err
	}
	var lacking []db.StorageLocation
	for i, id := range ids {
		has := slices.ContainsFunc(copies, func(c db.Copy) bool { return c.StorageLocationID == id })
		if has || slices.Contains(ids[:i], id) {
			continue
		}
		location, err := s.db.GetStorageLocation(ctx, id)
		switch {
		case errors.Is(err, db.ErrNotFound): // deleted since
		case err != nil:
			return nil, err
		default:
			lacking = append(lacking, location)
		}
	}
	return lacking, nil
}

// notBeingCopied leaves out the locations to which the backup is being copied right now.
func (s *server) notBeingCopied(ctx context.Context, row db.Execution, locations []db.StorageLocation) ([]db.StorageLocation, error) {
	var idle []db.StorageLocation
	for _, location := range locations {
		running, err := reconcile.CopyRuns(ctx, s.temporal, row.ID, location.ID)
		if err != nil {
			return nil, s.temporalDown(ctx, "ask for the copying", err)
		}
		if !running {
			idle = append(idle, location)
		}
	}
	return idle, nil
}

// announceCopies marks the copies as pending, which keeps the backup from being deleted meanwhile.
func (s *server) announceCopies(ctx context.Context, row db.Execution, locations []db.StorageLocation) (db.AuditEntry, error) {
	ids := make([]string, len(locations))
	for i, location := range locations {
		ids[i] = location.ID
	}
	entry := audited(ctx, "execution.retry_upload", "execution", row.ID, map[string]any{"storage_location_ids": ids})
	return entry, s.db.InTx(ctx, func(q *db.Queries) error {
		if err := q.HoldBackup(ctx, row.ID); err != nil {
			return err
		}
		for _, location := range locations {
			if _, err := q.RecordTarget(ctx, row.ID, db.TargetReport{Result: domain.StorageResult{
				StorageLocationID: location.ID, Name: location.Name, Status: domain.TargetPending,
			}}); err != nil {
				return err
			}
		}
		return q.AddAudit(ctx, entry)
	})
}

// startCopies starts a workflow for each location. What Temporal does not take is recorded as failed.
func (s *server) startCopies(ctx context.Context, row db.Execution, locations []db.StorageLocation) error {
	datasource, err := s.db.GetDatasource(ctx, *row.DatasourceID)
	if err != nil {
		return err
	}
	var refused error
	for _, location := range locations {
		labels := contract.Labels{Datasource: datasource.Name, Storage: location.Name}
		err := s.startCopy(ctx, row, location, labels, datasource.Pool)
		if err == nil {
			continue
		}
		refused = fmt.Errorf("copy to storage location %q: %w", location.Name, s.temporalDown(ctx, "start the copying", err)) // the others are copied to
		if _, err := s.db.RecordTarget(ctx, row.ID, db.TargetReport{Result: domain.StorageResult{
			StorageLocationID: location.ID, Name: location.Name, Status: domain.TargetFailed, FailureClass: string(failure.Unreachable),
			Error: "Temporal did not start the workflow: " + failure.Redact(err.Error()), Hint: "Check that the Temporal server is running, then try again.",
		}}); err != nil {
			return errors.Join(refused, err)
		}
	}
	return refused
}

func (s *server) startCopy(ctx context.Context, row db.Execution, location db.StorageLocation, labels contract.Labels, pool string) error {
	ctx, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	_, err := contract.Replicate.Start(ctx, s.temporal, client.StartWorkflowOptions{
		ID: contract.ReplicateWorkflowID(row.ID, location.ID), TaskQueue: contract.TaskQueue(pool),
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            fmt.Sprintf("Copy a backup of %s to %s", labels.Datasource, location.Name),
		StaticDetails:                            fmt.Sprintf("Backup %s, asked for by %s.", row.ID, principalOf(ctx).User.Email),
		TypedSearchAttributes: temporal.NewSearchAttributes(contract.SearchOperation.ValueSet("replicate"),
			contract.SearchDatasource.ValueSet(labels.Datasource), contract.SearchStorage.ValueSet(location.Name)),
	}, contract.ReplicateInput{
		ExecutionID: row.ID, Target: contract.Place{StorageID: location.ID, Name: location.Name, Pool: location.Pool}, Labels: labels,
	})
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return nil // somebody else asked at the same moment: what was asked for happens
	}
	return err
}
