package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// Restore brings a backup back. The stored bytes are checked end to end before anything is
// written; the data is loaded beside the target and takes its place only when all of it is there.
// In verification mode nothing takes a place: the loaded copy proves the backup, and is dropped.
func Restore(ctx workflow.Context, in contract.ExecutionInput) (contract.ExecutionResult, error) {
	r := restore{execution: execution{in: in}}
	if err := stopped(ctx, r.steps(ctx)); err != nil {
		return contract.ExecutionResult{}, r.abandon(ctx, err, r.discard)
	}
	return contract.ExecutionResult{
		ExecutionID: in.ExecutionID, SizeBytes: r.staged.Bytes, Tables: r.staged.Tables, RecoveryMS: r.recovery.Milliseconds(),
	}, r.complete(ctx)
}

type restore struct {
	execution
	staged   contract.StageResult
	recovery time.Duration // from the beginning until the data was loaded
}

func (r *restore) steps(ctx workflow.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	began := workflow.Now(ctx)
	if r.plan.Direct {
		if err := r.copyDirectly(ctx); err != nil {
			return err
		}
		return r.settle(ctx)
	}
	if err := r.check(ctx); err != nil {
		return err
	}
	if err := r.stage(ctx); err != nil {
		return err
	}
	r.recovery = workflow.Now(ctx).Sub(began)
	if r.plan.Checks {
		if err := r.checkRestored(ctx); err != nil {
			return err
		}
	}
	return r.settle(ctx)
}

// check refuses a target or an archive that would fail half way, before anything is written.
func (r *restore) check(ctx workflow.Context) error {
	if len(r.plan.Sources) == 0 { // the plan of an older version
		return r.checkCopy(ctx, 0)
	}
	var failed []failedPlace
	for i, source := range r.plan.Sources {
		r.in.Labels.Storage = source.Name
		if err := r.choose(ctx, source, failed); err != nil {
			return err
		}
		patience := int32(storageAttempts)
		if i == len(r.plan.Sources)-1 {
			patience = 0
		}
		err := r.checkCopy(ctx, patience)
		if err == nil || !storageFailed(err) || len(r.plan.Sources) == 1 {
			return err
		}
		failed = append(failed, failedPlace{source, outcome(err)})
	}
	return everyPlaceFailed("no copy of the backup can be restored", failed)
}

// choose makes a copy the one that is read.
func (r *restore) choose(ctx workflow.Context, source contract.Place, failed []failedPlace) error {
	in := contract.SourceInput{ExecutionID: r.in.ExecutionID, StorageLocationID: source.StorageID}
	if len(failed) > 0 {
		in.Why = failed[len(failed)-1].text()
	}
	_, err := contract.ChooseSource.Execute(r.record(ctx, "Read the copy on "+source.Name), in)
	return err
}

// checkCopy reads all of the chosen copy. storageAttempts bounds the tries when its storage fails.
func (r *restore) checkCopy(ctx workflow.Context, storageAttempts int32) error {
	r.tell(ctx, domain.PhaseChecking, "Checking the backup on %s end to end", r.in.Labels.Storage)
	step := contract.RestoreStep{ExecutionID: r.in.ExecutionID, StorageAttempts: storageAttempts}
	if _, err := contract.CheckTarget.Execute(r.short(ctx, "Check the target "+r.in.Labels.Datasource), step); err != nil {
		return err
	}
	_, err := contract.CheckArchive.Execute(r.long(ctx, "Check every stored byte on "+r.in.Labels.Storage), step)
	return err
}

func (r *restore) stage(ctx workflow.Context) error {
	r.tell(ctx, domain.PhaseLoading, "Loading into a new database on %s", r.in.Labels.Datasource)
	var err error
	r.staged, err = contract.StageRestore.Execute(r.long(ctx, "Load beside the target on "+r.in.Labels.Datasource), r.ref())
	return err
}

// stopBeforeSwap marks restores that heed a request to stop that arrived while they loaded, up to the swap.
const stopBeforeSwap = "stop-before-swap"

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
	// A request to stop that came while the last of it was loaded: nothing has been replaced yet.
	if err := ctx.Err(); err != nil && workflow.GetVersion(ctx, stopBeforeSwap, workflow.DefaultVersion, 1) >= 1 {
		return err
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

// CleanRestore drops what a restore loaded whose own workflow can not any more: it was terminated, or is
// gone.
func CleanRestore(ctx workflow.Context, in contract.ExecutionInput) (contract.Nothing, error) {
	r := restore{execution: execution{in: in}}
	r.tell(ctx, domain.PhaseCleaning, "Dropping what a lost restore loaded")
	// A step of it may still run: its worker learns of the end with its next heartbeat, or counts as lost.
	if err := workflow.Sleep(ctx, waits().Silence); err != nil {
		return contract.Nothing{}, err
	}
	return contract.DropStaging.Execute(r.patiently(ctx, "Drop what was loaded"), r.ref())
}
