package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// hooks runs the hooks of a moment, where there are any. Its error is that of a hook that may fail the run.
func (b *backup) hooks(ctx workflow.Context, moment domain.HookMoment, outcome domain.ExecutionStatus, message string) error {
	if !slices.Contains(b.plan.Hooks, moment) {
		return nil
	}
	b.tell(ctx, domain.PhaseHooks, "Running the hooks %s", moment)
	_, err := contract.RunHooks.Execute(b.long(ctx, "Run the hooks "+string(moment)), contract.HooksInput{
		ExecutionID: b.in.ExecutionID, Moment: moment, Outcome: outcome, Message: message,
	})
	return err
}

// afterFailure runs the hooks of a run that did not succeed, also one that was cancelled: what a hook
// before it began may have to be ended.
func (b *backup) afterFailure(ctx workflow.Context, cause error) {
	uncancelled, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	end := outcome(cause)
	if err := b.hooks(uncancelled, domain.HooksAfterFailure, end.Status, end.Message); err != nil {
		workflow.GetLogger(ctx).Warn("hooks after a failure did not run", "execution", b.in.ExecutionID, "error", err)
	}
}
