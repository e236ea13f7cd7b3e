package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// mostRounds is how often a check is repeated after something was healed: a healed manifest shows
// objects that could not be looked at before.
const mostRounds = 3

// VerifyBackup checks a backup that was made before, and goes on to its end whatever it finds. What
// is damaged is mended from a copy on another storage location where there is one, and checked
// again; then people are told, once.
func VerifyBackup(ctx workflow.Context, in contract.VerifyBackupInput) (contract.VerifyBackupResult, error) {
	v := newChecking(in.Labels, in.BackupID, in.StorageLocationID)
	v.tell(ctx, domain.PhaseVerifying, "Verifying the backup (%s)", in.Mode)
	check, err := v.untilHealed(ctx, func(ctx workflow.Context) (contract.CopyCheck, error) {
		return contract.CheckCopy.Execute(v.long(ctx, "Check the backup, "+string(in.Mode)), contract.CopyRef{
			BackupID: in.BackupID, StorageLocationID: in.StorageLocationID, Mode: in.Mode,
		})
	})
	if err != nil {
		v.explain(ctx, "the verification could not be made", "Record why it could not be checked", err)
		return contract.VerifyBackupResult{}, err
	}
	result := contract.VerifyBackupResult{
		OK: check.OK, Objects: check.Objects, Bytes: check.Bytes, Damaged: check.Damaged, Healed: v.healed,
	}
	v.tell(ctx, domain.PhaseDone, "%d objects checked, %d healed, %d damaged", result.Objects, result.Healed, result.Damaged)
	return result, nil
}

// checking is what a verification and a scrub share.
type checking struct {
	execution
	storageID string
	found     int64 // damaged objects, before anything was healed
	healed    int64
}

// newChecking: a check may take days, and waits out what passes.
func newChecking(labels contract.Labels, backupID, storageID string) *checking {
	return &checking{storageID: storageID, execution: execution{
		in:   contract.ExecutionInput{ExecutionID: backupID, Labels: labels},
		plan: contract.Plan{TimeoutMinutes: 7 * 24 * 60, Attempts: 8},
	}}
}

// untilHealed checks, heals what the check found, and checks again as long as that mends something.
// What is left is announced. The error is that of a check that could not be made.
func (c *checking) untilHealed(ctx workflow.Context, check func(workflow.Context) (contract.CopyCheck, error)) (contract.CopyCheck, error) {
	seen, err := check(ctx)
	if err != nil || seen.Damaged == 0 {
		return seen, err
	}
	c.found += seen.Damaged
	var notes []string
	for range mostRounds {
		c.tell(ctx, domain.PhaseVerifying, "Healing %d damaged objects", seen.Damaged)
		mended, err := contract.HealStorage.Execute(c.long(ctx, "Heal damaged objects from copies"), contract.StorageRef{StorageLocationID: c.storageID})
		if err != nil {
			// People must learn of the damage, also when nothing can be done about it now.
			notes = append(notes, "healing failed: "+outcome(err).Message)
			break
		}
		c.healed, notes = c.healed+mended.Healed, mended.Notes
		if mended.Healed == 0 {
			break
		}
		again, err := check(ctx)
		if err != nil {
			c.announce(ctx, notes)
			return seen, err
		}
		if seen = again; seen.Damaged == 0 {
			break
		}
	}
	c.announce(ctx, notes)
	return seen, nil
}

// announce tells people. It happens after everything is recorded, and a failure to tell changes
// nothing of that: the next check tells what was not told.
func (c *checking) announce(ctx workflow.Context, notes []string) {
	uncancelled, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	_, err := contract.AnnounceDamage.Execute(c.record(uncancelled, "Tell people about the damage"), contract.AnnounceInput{
		StorageLocationID: c.storageID, Notes: notes,
	})
	if err != nil {
		workflow.GetLogger(ctx).Error("the damage was not announced", "storage", c.storageID, "error", err)
	}
}
