package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
)

const (
	// recordLocally is the change with which records are tried where the workflow runs.
	recordLocally = "record-locally"
	// localPatience is well below the time that a workflow task has.
	localPatience = 3 * time.Second
)

// recordNow runs a record, which is a few statements in the catalogue, where the workflow runs: that saves
// a trip through the server, which a short backup would notice. If it fails there in a way that may pass,
// it becomes an activity, which waits as long as records do. So records may be done twice.
func recordNow[In, Out any](ctx workflow.Context, e *execution, record contract.Activity[In, Out], summary string, in In) (Out, error) {
	if workflow.GetVersion(ctx, recordLocally, workflow.DefaultVersion, 1) >= 1 {
		local := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
			Summary: summary, ScheduleToCloseTimeout: localPatience, StartToCloseTimeout: localPatience,
			RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
		})
		out, err := record.ExecuteLocal(local, in)
		var told *temporal.ApplicationError
		if err == nil || (errors.As(err, &told) && told.NonRetryable()) {
			return out, err
		}
	}
	return record.Execute(e.record(ctx, summary), in)
}
