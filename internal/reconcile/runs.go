package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// EndRun closes a run of a sync job or a drill job whose workflow can not do so any more, tells people of it, and reports
// whether it did. The executions that it was made of have workflows of their own, which are cancelled with it and close
// their own rows.
func EndRun(ctx context.Context, database *db.DB, kind db.RunKind, listed db.Run, finish db.Finish) (closed bool, err error) {
	row, err := database.GetRun(ctx, kind, listed.ID)
	if errors.Is(err, db.ErrNotFound) {
		return false, nil
	}
	if err != nil || row.Status != listed.Status || row.Status.Finished() {
		return false, err
	}
	err = database.InTx(ctx, func(q *db.Queries) error {
		if closed, err = q.FinishRun(ctx, kind, row.ID, finish, 0, row.Status); err != nil || !closed {
			return err
		}
		return q.TellRunEnd(ctx, kind, row.ID)
	})
	return closed, err
}

// SweepRuns is Sweep for the runs of sync jobs and drill jobs.
func SweepRuns(ctx context.Context, database *db.DB, temporal client.Client, olderThan time.Duration, logger *slog.Logger) (closed int, err error) {
	var unclear []error
	for _, kind := range []db.RunKind{db.RunSync, db.RunDrill} {
		for _, filter := range []db.RunFilter{{Status: domain.Queued, To: time.Now().Add(-olderThan)}, {Status: domain.Running}} {
			page := db.Page{Limit: db.MaxPageSize}
			for {
				rows, next, err := database.ListRuns(ctx, kind, filter, page)
				if err != nil {
					return closed, errors.Join(append(unclear, err)...)
				}
				for _, row := range rows {
					did, err := sweepRun(ctx, database, temporal, kind, row, logger)
					if unreachable(err) {
						return closed, errors.Join(append(unclear, err)...)
					}
					if err != nil {
						unclear = append(unclear, err)
					}
					if did {
						closed++
					}
				}
				if next == "" {
					break
				}
				page.Cursor = next
			}
		}
	}
	return closed, errors.Join(unclear...)
}

func sweepRun(ctx context.Context, database *db.DB, temporal client.Client, kind db.RunKind, row db.Run, logger *slog.Logger) (bool, error) {
	finish, err := verdictOn(ctx, temporal, row.Metadata.WorkflowID, row.Status)
	if err != nil || finish == nil {
		return false, err
	}
	closed, err := EndRun(ctx, database, kind, row, *finish)
	if err == nil && closed {
		logger.WarnContext(ctx, "closed a run without a workflow", "kind", kind, "run", row.ID, "was", row.Status, "reason", finish.ErrorMessage)
	}
	return closed, err
}

// verdictOn asks Temporal for a workflow and says how its open row ended; nil while the workflow runs.
func verdictOn(ctx context.Context, temporal client.Client, workflowID string, status domain.ExecutionStatus) (*db.Finish, error) {
	if workflowID == "" {
		return gone(status), nil
	}
	asking, stop := context.WithTimeout(ctx, answerTimeout)
	defer stop()
	answer, err := temporal.DescribeWorkflowExecution(asking, workflowID, "") // "" is the latest run: a reset makes a new one
	var notFound *serviceerror.NotFound
	switch {
	case errors.As(err, &notFound):
		return gone(status), nil
	case err != nil:
		return nil, fmt.Errorf("ask Temporal for workflow %s: %w", workflowID, err)
	}
	return ended(answer.GetWorkflowExecutionInfo().GetStatus()), nil
}
