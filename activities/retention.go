package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/retention"
)

const (
	// expireBatch is how many backups are marked together: what is marked goes, whatever becomes of the policy.
	expireBatch = 20
	// mostReported bounds the ids that a policy which only reports names.
	mostReported = 100
)

// ExpireBackups decides over a job's backups and marks a batch of those that go; from then on nothing restores or builds
// on them. It returns what is marked and not removed yet, of earlier runs too.
func (a *Activities) ExpireBackups(ctx context.Context, in contract.ExpireInput) (contract.Expiry, error) {
	found, err := a.DB.ExpireBackups(ctx, in.JobID, expireBatch, decideRetention)
	if errors.Is(err, db.ErrNotFound) {
		return contract.Expiry{Gone: true}, nil
	}
	if err != nil {
		return contract.Expiry{}, toTemporal(ctx, err)
	}
	var out contract.Expiry
	for _, v := range found.Verdicts {
		switch {
		case v.Keep:
			out.Kept++
		case !found.Job.RetentionPolicy.AutoDelete && len(out.WouldRemove) < mostReported:
			out.WouldRemove = append(out.WouldRemove, v.ID)
		}
	}
	marked, err := a.DB.ListExpired(ctx, in.JobID, 5*expireBatch)
	for _, b := range marked {
		if b.Pool == "" {
			b.Pool = domain.DefaultPool
		}
		out.Expired = append(out.Expired, contract.Expired{
			ExecutionID: b.ID, Pool: b.Pool, Labels: contract.Labels{Job: found.Job.Name, Datasource: b.Datasource, Storage: b.Storage},
		})
	}
	return out, toTemporal(ctx, err)
}

// addRetention names the job whose policy is applied after the backup.
func (a *Activities) addRetention(ctx context.Context, e db.Execution, plan *contract.Plan) error {
	if e.JobID == nil || e.Metadata.Operation != domain.OperationBackup {
		return nil
	}
	job, err := a.DB.GetBackupJob(ctx, *e.JobID)
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	if err == nil && !job.RetentionPolicy.Empty() {
		plan.RetentionJobID = job.ID
	}
	return err
}

// decideRetention applies the job's policy now.
func decideRetention(job db.BackupJob, backups []domain.KeptBackup) []domain.RetentionVerdict {
	zone, err := time.LoadLocation(job.ScheduleTimezone)
	if err != nil { // a worker without time zones, or one that has been renamed
		zone = time.UTC
	}
	return retention.Apply(job.RetentionPolicy, zone, time.Now(), backups)
}

// FinishRetention records what a run of the retention did, and tells people of what it removed.
func (a *Activities) FinishRetention(ctx context.Context, in contract.FinishRetentionInput) (contract.Nothing, error) {
	job, err := a.DB.GetBackupJob(ctx, in.JobID)
	if errors.Is(err, db.ErrNotFound) {
		return contract.Nothing{}, nil
	}
	if err != nil {
		return contract.Nothing{}, toTemporal(ctx, err)
	}
	result := domain.RetentionResult{
		At: time.Now().UTC(), Kept: in.Kept, Removed: in.Done.Removed, Bytes: in.Done.Bytes, Failed: len(in.Done.Failed), WouldRemove: in.WouldRemove,
	}
	var tell *db.Notification
	if result.Removed > 0 {
		tell = a.linked(ctx, cleanupCompleted(job, result))
	}
	return contract.Nothing{}, toTemporal(ctx, a.DB.RecordRetention(ctx, job.ID, in.Done.RunID, result, tell))
}

func cleanupCompleted(job db.BackupJob, r domain.RetentionResult) *db.Notification {
	n := &db.Notification{
		Type: domain.NotifyCleanupCompleted, Severity: domain.SeverityInfo, EntityType: domain.EntityBackupJob, EntityID: job.ID,
		Title:    fmt.Sprintf("Removed %s of job %s", counted(r.Removed, "old backup"), quoted(job.Name)),
		Message:  fmt.Sprintf("The retention policy of job %s removed %s and freed %d bytes. %s.", quoted(job.Name), counted(r.Removed, "backup"), r.Bytes, stays(r.Kept)),
		Metadata: map[string]any{"job": job.Name, "removed": r.Removed, "bytes": r.Bytes, "kept": r.Kept, "failed": r.Failed},
	}
	if r.Failed > 0 {
		n.Message += fmt.Sprintf(" The removal of %s could not be finished yet; it is tried again.", counted(r.Failed, "other backup"))
	}
	return n
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func stays(n int) string {
	if n == 1 {
		return "1 backup stays"
	}
	return counted(n, "backup") + " stay"
}
