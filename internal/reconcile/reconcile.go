// Package reconcile closes executions that no workflow is going to close: the process that should
// have started it died, somebody terminated it in the Temporal UI, or Temporal lost its data. An
// open row without a workflow would refuse every further run of its job.
package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// answerTimeout bounds the wait for Temporal's answer about one workflow.
const answerTimeout = 5 * time.Second

// scheduleTimeout bounds the making, changing or removing of one schedule, which is several writes: a
// small Temporal server that runs backups meanwhile takes its time.
const scheduleTimeout = 30 * time.Second

// Sweep closes every open execution whose workflow has ended or does not exist, with the reason,
// and returns how many it closed. A queued one younger than olderThan is left: its workflow may be
// starting now. One that Temporal gives no answer about is left too; err says so. Several processes
// may sweep at the same time.
func Sweep(ctx context.Context, database *db.DB, temporal client.Client, olderThan time.Duration, logger *slog.Logger) (closed int, err error) {
	s := sweep{db: database, temporal: temporal, logger: logger}
	for _, filter := range []db.ExecutionFilter{
		{Status: domain.Queued, To: time.Now().Add(-olderThan)},
		{Status: domain.Running},
	} {
		if err := s.all(ctx, filter); err != nil {
			return s.closed, errors.Join(append(s.unclear, err)...)
		}
	}
	return s.closed, errors.Join(s.unclear...)
}

type sweep struct {
	db       *db.DB
	temporal client.Client
	logger   *slog.Logger
	closed   int
	unclear  []error // of executions about which Temporal gave no usable answer
}

// all looks at every execution that the filter finds. It ends early when Temporal can not be
// reached: each further question would only wait for the same.
func (s *sweep) all(ctx context.Context, filter db.ExecutionFilter) error {
	page := db.Page{Limit: db.MaxPageSize}
	for {
		rows, next, err := s.db.ListExecutions(ctx, filter, page)
		if err != nil {
			return err
		}
		for _, row := range rows {
			finish, err := s.verdict(ctx, row)
			switch {
			case unreachable(err):
				return err
			case err != nil:
				s.unclear = append(s.unclear, err)
			case finish != nil:
				if err := s.close(ctx, row, *finish); err != nil {
					return err
				}
			}
		}
		if next == "" {
			return nil
		}
		page.Cursor = next
	}
}

// close ends the execution unless it went on since it was listed.
func (s *sweep) close(ctx context.Context, listed db.Execution, finish db.Finish) error {
	ended, closed, err := End(ctx, s.db, s.temporal, listed, finish)
	if err != nil || !closed {
		return err // what has begun since is looked at again in the next sweep
	}
	s.closed++
	s.logger.WarnContext(ctx, "closed an execution without a workflow", "execution", listed.ID, "was", listed.Status,
		"workflow", listed.Metadata.WorkflowID, "status", ended.Status, "reason", finish.ErrorMessage)
	return nil
}

// verdict asks Temporal for the workflow of an open execution and says how the execution ended; nil
// while the workflow runs.
func (s *sweep) verdict(ctx context.Context, row db.Execution) (*db.Finish, error) {
	finish, err := verdictOn(ctx, s.temporal, row.Metadata.WorkflowID, row.Status)
	if err != nil || finish == nil || row.Status != domain.Queued || row.Metadata.ParentWorkflowID == "" {
		return finish, err
	}
	// A sync or drill makes the row before it starts the workflow, and may be waiting for a worker in between.
	if parent, err := verdictOn(ctx, s.temporal, row.Metadata.ParentWorkflowID, row.Status); err != nil || parent == nil {
		return nil, err
	}
	return finish, nil
}

// unreachable tells an error of the connection, or the end of ctx, from one about a workflow.
func unreachable(err error) bool {
	var unavailable *serviceerror.Unavailable
	var late *serviceerror.DeadlineExceeded
	var stopped *serviceerror.Canceled
	return errors.As(err, &unavailable) || errors.As(err, &late) || errors.As(err, &stopped) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

const hintAgain = "Run it again."

// gone is the end of an execution whose workflow Temporal does not know.
func gone(was domain.ExecutionStatus) *db.Finish {
	message := "its workflow does not exist any more in Temporal: it was deleted, or Temporal lost its data"
	if was == domain.Queued {
		message = "the platform stopped before the workflow was started"
	}
	return &db.Finish{Status: domain.Failed, ErrorMessage: message, FailureClass: string(failure.WorkflowLost), Hint: hintAgain}
}

// ended is the end of an execution whose workflow closed in this state without recording it; nil
// for a workflow that goes on.
func ended(status enumspb.WorkflowExecutionStatus) *db.Finish {
	finish := &db.Finish{Status: domain.Failed, FailureClass: string(failure.Unknown), Hint: hintAgain}
	switch status {
	case enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		finish.ErrorMessage = "its workflow was terminated in Temporal, which leaves no time to clean up"
	case enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		finish.ErrorMessage, finish.FailureClass = "its workflow timed out in Temporal", string(failure.Timeout)
	case enumspb.WORKFLOW_EXECUTION_STATUS_FAILED:
		finish.ErrorMessage = "its workflow failed and did not record why; the Temporal UI shows its history"
	case enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:
		finish.Status, finish.FailureClass = domain.Cancelled, string(failure.Cancelled)
		finish.ErrorMessage = "its workflow was cancelled in Temporal"
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		finish.ErrorMessage = "its workflow ended but did not record a result"
	default:
		return nil
	}
	return finish
}
