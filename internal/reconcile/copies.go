package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// SettleCopies is SettleCopiesOf for all backups. It ends early when Temporal can not be reached.
func SettleCopies(ctx context.Context, database *db.DB, temporal client.Client, olderThan time.Duration) (settled int, err error) {
	ids, err := database.PendingCopies(ctx)
	if err != nil {
		return 0, err
	}
	var unclear []error
	for _, id := range ids {
		row, err := database.GetExecution(ctx, id)
		if errors.Is(err, db.ErrNotFound) {
			continue
		}
		if err != nil {
			return settled, errors.Join(append(unclear, err)...)
		}
		n, err := SettleCopiesOf(ctx, database, temporal, row, olderThan)
		settled += n
		if unreachable(err) {
			return settled, errors.Join(append(unclear, err)...)
		}
		if err != nil {
			unclear = append(unclear, err)
		}
	}
	return settled, errors.Join(unclear...)
}

// SettleCopiesOf ends pending copies of a completed backup whose workflow is gone, and returns how many: a terminated one can
// not say so itself, and would keep the backup from being deleted for ever. One about which Temporal gives no answer stays, and
// so does one that is younger than olderThan: its workflow may be starting now.
func SettleCopiesOf(ctx context.Context, database *db.DB, temporal client.Client, row db.Execution, olderThan time.Duration) (settled int, err error) {
	if row.Status != domain.Completed {
		return 0, nil
	}
	for _, r := range row.Metadata.StorageResults {
		if r.Status != domain.TargetPending || time.Since(r.At) < olderThan {
			continue
		}
		runs, err := CopyRuns(ctx, temporal, row.ID, r.StorageLocationID)
		if err != nil {
			return settled, fmt.Errorf("ask Temporal for the copying of backup %s to %q: %w", row.ID, r.Name, err)
		}
		if runs {
			continue
		}
		// It may have ended well between the reading of the row and the question.
		now, err := database.GetExecution(ctx, row.ID)
		if err != nil {
			return settled, err
		}
		if !isPending(now, r.StorageLocationID) {
			continue
		}
		r.Status, r.FailureClass, r.Error = domain.TargetFailed, string(failure.WorkflowLost), "Temporal has no running workflow for the copying."
		if _, err := database.RecordTarget(ctx, row.ID, db.TargetReport{Result: r}); err != nil {
			return settled, err
		}
		settled++
	}
	return settled, nil
}

// CopyRuns asks Temporal whether a backup is being copied to a storage location right now.
func CopyRuns(ctx context.Context, temporal client.Client, executionID, storageID string) (bool, error) {
	asking, stop := context.WithTimeout(ctx, answerTimeout)
	defer stop()
	described, err := temporal.DescribeWorkflowExecution(asking, contract.ReplicateWorkflowID(executionID, storageID), "")
	var unknown *serviceerror.NotFound
	if errors.As(err, &unknown) {
		return false, nil
	}
	return err == nil && described.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, err
}
