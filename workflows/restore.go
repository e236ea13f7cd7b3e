package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// Restore brings a backup back. The stored bytes are checked end to end before anything is
// written; the data is loaded beside the target and takes its place only when all of it is there.
// In verification mode nothing takes a place: the loaded copy proves the backup, and is dropped.
func Restore(ctx workflow.Context, in contract.ExecutionInput) (contract.ExecutionResult, error) {
	r := restore{execution: execution{in: in}}
	if err := r.steps(ctx); err != nil {
		return contract.ExecutionResult{}, r.abandon(ctx, err, r.discard)
	}
	return contract.ExecutionResult{ExecutionID: in.ExecutionID, SizeBytes: r.staged.Bytes, Tables: r.staged.Tables}, r.complete(ctx)
}

type restore struct {
	execution
	staged contract.StageResult
}

func (r *restore) steps(ctx workflow.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	if err := r.check(ctx); err != nil {
		return err
	}
	if err := r.stage(ctx); err != nil {
		return err
	}
	return r.settle(ctx)
}

// check refuses a target or an archive that would fail half way, before anything is written.
func (r *restore) check(ctx workflow.Context) error {
	r.tell(ctx, domain.PhaseChecking, "Checking the backup on %s end to end", r.in.Labels.Storage)
	if _, err := contract.CheckTarget.Execute(r.short(ctx, "Check the target "+r.in.Labels.Datasource), r.ref()); err != nil {
		return err
	}
	_, err := contract.CheckArchive.Execute(r.long(ctx, "Check every stored byte on "+r.in.Labels.Storage), r.ref())
	return err
}

func (r *restore) stage(ctx workflow.Context) error {
	r.tell(ctx, domain.PhaseLoading, "Loading into a new database on %s", r.in.Labels.Datasource)
	var err error
	r.staged, err = contract.StageRestore.Execute(r.long(ctx, "Load beside the target on "+r.in.Labels.Datasource), r.ref())
	return err
}

// settle ends the staging: swapped in for a real restore, dropped (or kept when asked) for a
// verification. The swap can not be cancelled half way.
func (r *restore) settle(ctx workflow.Context) error {
	if r.plan.VerificationMode {
		if r.plan.KeepDatabase {
			return nil
		}
		r.tell(ctx, domain.PhaseCleaning, "Dropping the verification database")
		return r.discard(ctx)
	}
	r.tell(ctx, domain.PhaseSwapping, "Giving the new database the target's name")
	uncancelled, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	_, err := contract.PromoteRestore.Execute(r.short(uncancelled, "Swap the new database in"), r.ref())
	return err
}

func (r *restore) discard(ctx workflow.Context) error {
	_, err := contract.DiscardRestore.Execute(r.cleanup(ctx, "Drop what was loaded"), r.ref())
	return err
}
