package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// End closes an execution whose workflow can not do so any more, and does what is left to be done for it: a
// backup that was good already, and was only being copied, is completed whatever finish says, and the copies
// that are missing are recorded; what a restore loaded beside its target is dropped. It reports the end
// that was recorded; closed is false when the execution went on since it was listed: a workflow records its
// end before it closes, so a row that is read after Temporal's answer and is still open stays open.
func End(ctx context.Context, database *db.DB, temporal client.Client, listed db.Execution, finish db.Finish) (ended db.Finish, closed bool, err error) {
	row, err := database.GetExecution(ctx, listed.ID)
	if errors.Is(err, db.ErrNotFound) {
		return finish, false, nil
	}
	if err != nil || row.Status != listed.Status || row.Status.Finished() {
		return finish, false, err
	}
	switch {
	case isPlaced(row):
		if err := recordMissingCopies(ctx, database, row, finish.ErrorMessage); err != nil {
			return finish, false, err
		}
		finish = db.Finish{Status: domain.Completed}
	case row.Metadata.Operation == domain.OperationRestore && row.Status == domain.Running:
		// Before the row is closed: afterwards nobody would look at it again.
		if err := startCleaning(ctx, database, temporal, row); err != nil {
			return finish, false, err
		}
	}
	closed, err = database.FinishWhile(ctx, row.ID, row.Status, finish)
	return finish, closed, err
}

// isPlaced reports whether a running backup is good: the result of its own storage location is recorded when
// everything is stored and verified there, and nothing undoes that any more.
func isPlaced(row db.Execution) bool {
	return row.Status == domain.Running && row.Metadata.Operation == domain.OperationBackup &&
		row.Metadata.ManifestSHA256 != "" && row.StorageLocationID != nil && has(row, *row.StorageLocationID)
}

func has(row db.Execution, storageID string) bool {
	return resultIs(row, storageID, domain.TargetCompleted)
}

func isPending(row db.Execution, storageID string) bool {
	return resultIs(row, storageID, domain.TargetPending)
}

func resultIs(row db.Execution, storageID string, status domain.TargetStatus) bool {
	return slices.ContainsFunc(row.Metadata.StorageResults, func(r domain.StorageResult) bool {
		return r.StorageLocationID == storageID && r.Status == status
	})
}

// recordMissingCopies notes the copies that were not made when the copying ended, so that people see them
// and a pending one does not hold the backup.
func recordMissingCopies(ctx context.Context, database *db.DB, row db.Execution, why string) error {
	var ids []string
	for _, r := range row.Metadata.StorageResults { // the job's own location too, where another one took its place
		ids = append(ids, r.StorageLocationID)
	}
	if o := row.Metadata.Options; o != nil && o.StorageStrategy == domain.StrategyReplicate {
		ids = append(ids, o.Targets()...)
	}
	missing := 0
	for i, id := range ids {
		if slices.Contains(ids[:i], id) || has(row, id) || i < len(row.Metadata.StorageResults) && !isPending(row, id) {
			continue // it is there, or is recorded as failed already
		}
		location, err := database.GetStorageLocation(ctx, id)
		if errors.Is(err, db.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		result := domain.StorageResult{
			StorageLocationID: id, Name: location.Name, Status: domain.TargetFailed, FailureClass: string(failure.WorkflowLost), Error: why,
		}
		report := db.TargetReport{Result: result, Warning: fmt.Sprintf("the copy to storage location %q was not made: %s", location.Name, why)}
		if _, err := database.RecordTarget(ctx, row.ID, report); err != nil {
			return err
		}
		missing++
	}
	return database.AppendLogs(ctx, row.ID, domain.LogLine{Time: time.Now().UTC(), Level: "warning", Message: fmt.Sprintf(
		"%s; the backup was good by then, and is completed; %d copies are missing, which POST /api/executions/%s/retry-upload makes", why, missing, row.ID)})
}

// startCleaning drops what a restore loaded beside its target, in the background.
func startCleaning(ctx context.Context, database *db.DB, c client.Client, row db.Execution) error {
	if row.DatasourceID == nil {
		return nil // with its datasource went the address of the server
	}
	target, err := database.GetDatasource(ctx, *row.DatasourceID)
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	starting, stop := context.WithTimeout(ctx, answerTimeout)
	defer stop()
	_, err = contract.CleanRestore.Start(starting, c, client.StartWorkflowOptions{
		ID: contract.CleanRestoreWorkflowID(row.ID), TaskQueue: contract.TaskQueue(target.Pool), // one that runs is the same
		StaticSummary: "Drop what a lost restore loaded on " + target.Name,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			contract.SearchOperation.ValueSet("clean"), contract.SearchDatasource.ValueSet(target.Name)),
	}, contract.ExecutionInput{ExecutionID: row.ID, Labels: contract.Labels{Datasource: target.Name}})
	if err != nil {
		return fmt.Errorf("start the cleaning up after restore %s: %w", row.ID, err)
	}
	return nil
}
