// Package workflows decides: the order of the steps, what is tried again, what is undone when a
// step fails. It never touches the world; activities do, and are called by the typed handles of
// package contract.
package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// Backup makes one backup of a datasource: dump into the storage location, check what was stored,
// record. When it fails or is cancelled, what it stored is removed again and the reason recorded. With
// several storage locations, one that fails is replaced by the next, or each gets a copy.
func Backup(ctx workflow.Context, in contract.ExecutionInput) (contract.ExecutionResult, error) {
	b := backup{execution: execution{in: in}}
	if in.ExecutionID == "" {
		if skipped, err := b.schedule(ctx); skipped != "" || err != nil {
			return contract.ExecutionResult{Skipped: skipped}, err
		}
	}
	if err := stopped(ctx, b.steps(ctx)); err != nil {
		defer b.afterFailure(ctx, err)
		return contract.ExecutionResult{}, b.abandon(ctx, err, b.discard)
	}
	// The backup is good. Should its end not be recorded, or a copy of it fail, that undoes nothing.
	b.replicate(ctx)
	if err := b.complete(ctx); err != nil {
		return b.result(), err
	}
	b.retain(ctx)
	return b.result(), nil
}

type backup struct {
	execution
	dumped   contract.DumpResult
	failed   []failedPlace // storage locations that did not take it
	last     bool          // no other one is left
	attempts int32         // numbers that attempts on them may have
}

func (b *backup) steps(ctx workflow.Context) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	if err := b.hooks(ctx, domain.HooksBefore, "", ""); err != nil {
		return err
	}
	if err := b.store(ctx); err != nil {
		return err
	}
	return b.afterSuccess(ctx)
}

// store makes the backup on the first of its storage locations that takes it.
func (b *backup) store(ctx workflow.Context) error {
	if len(b.plan.Targets) > 1 {
		return b.place(ctx)
	}
	if err := b.dump(ctx); err != nil {
		return err
	}
	return b.verify(ctx)
}

func (b *backup) dump(ctx workflow.Context) error {
	b.tell(ctx, domain.PhaseDumping, "Dumping %s to %s", b.in.Labels.Datasource, b.in.Labels.Storage)
	var err error
	b.dumped, err = contract.Dump.Execute(b.long(ctx, "Dump "+b.in.Labels.Datasource), contract.DumpInput{
		ExecutionID: b.in.ExecutionID, AttemptsBefore: b.attempts, StorageAttempts: b.patience(), QuickCheck: b.plan.Verify == domain.VerifyQuick,
	})
	return err
}

// verify checks what was stored, unless the dump's own step has: a quick check is short, and a trip through the
// server is not. The results in a history of a version without that do not say so.
func (b *backup) verify(ctx workflow.Context) error {
	if b.plan.Verify == domain.VerifyNone {
		return nil
	}
	if b.dumped.Verified {
		return ctx.Err()
	}
	b.tell(ctx, domain.PhaseVerifying, "Verifying the backup (%s)", b.plan.Verify)
	_, err := contract.Verify.Execute(b.long(ctx, "Verify the backup, "+string(b.plan.Verify)), contract.VerifyInput{
		ExecutionID: b.in.ExecutionID, BackupID: b.in.ExecutionID, Mode: b.plan.Verify, StorageAttempts: b.patience(),
	})
	return err
}

// discard removes what an abandoned backup stored. No manifest is left first, so that the backup
// stops to exist before its chunks do.
func (b *backup) discard(ctx workflow.Context) error {
	_, err := contract.DiscardBackup.Execute(b.cleanup(ctx, "Remove what the backup stored"), contract.DiscardInput{ExecutionID: b.in.ExecutionID})
	return err
}

func (b *backup) result() contract.ExecutionResult {
	return contract.ExecutionResult{
		ExecutionID:     b.in.ExecutionID,
		SizeBytes:       b.dumped.SizeBytes,
		CompressedBytes: b.dumped.StoredBytes,
		Chunks:          b.dumped.Chunks,
	}
}
