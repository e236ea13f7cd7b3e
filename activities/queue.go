package activities

import (
	"context"
	"errors"

	"go.temporal.io/api/serviceerror"

	"github.com/dataguardian/dataguardian/internal/contract"
)

// tellAdmitted wakes the workflows of executions that were let in. Who is not reached finds out by itself within minutes.
func (a *Activities) tellAdmitted(ctx context.Context) {
	if a.Temporal == nil {
		return
	}
	admitted, err := a.DB.AdmittedExecutions(ctx)
	if err != nil {
		a.Logger.Warn("could not look for executions that were let in", "error", err)
		return
	}
	for _, execution := range admitted {
		err := a.Temporal.SignalWorkflow(ctx, execution.WorkflowID, "", contract.AdmittedSignal, nil)
		var gone *serviceerror.NotFound
		if err != nil && !errors.As(err, &gone) {
			a.Logger.Warn("could not tell an execution that it was let in", "execution", execution.ID, "error", err)
		}
	}
}
