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

// afterSuccess runs the hooks of a backup that is stored and verified. Nothing that they do, nor a cancellation
// while they run, makes it a bad one: it completes with a warning, and people are told.
func (b *backup) afterSuccess(ctx workflow.Context) error {
	err := b.hooks(ctx, domain.HooksAfterSuccess, domain.Completed, "")
	if err == nil {
		return nil
	}
	if workflow.GetVersion(ctx, "keep-backup-after-hooks", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return err // a history of a version that removed the backup
	}
	b.warning = "the backup is good and kept, but what was to be done after it failed: " + outcome(err).Message
	return nil
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
