package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
)

// recordLocally is the change with which records are tried where the workflow runs.
const recordLocally = "record-locally"

// recordNow runs a record, which is a few statements in the catalogue, where the workflow runs: that saves
// a trip through the server, which a short backup would notice. If it fails there in a way that may pass,
// it becomes an activity, which waits as long as records do. So records may be done twice.
func recordNow[In, Out any](ctx workflow.Context, e *execution, record contract.Activity[In, Out], summary string, in In) (Out, error) {
	if workflow.GetVersion(ctx, recordLocally, workflow.DefaultVersion, 1) >= 1 {
		out, err := record.ExecuteLocal(once(ctx, localPatience, summary), in)
		var told *temporal.ApplicationError
		if err == nil || (errors.As(err, &told) && told.NonRetryable()) {
			return out, err
		}
	}
	return record.Execute(e.record(ctx, summary), in)
}
