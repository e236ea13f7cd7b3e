package activities

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/reconcile"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// QueueScheduledBackup makes the execution of a backup that its schedule started, unless there is a reason not to, and notes that the
// run has had its turn. For the same workflow run it is always the same execution.
func (a *Activities) QueueScheduledBackup(ctx context.Context, in contract.ScheduledInput) (contract.ScheduledRun, error) {
	run, err := a.scheduledBackup(ctx, in)
	if err == nil && !run.Later && hasTurn(in.DueAt) {
		err = a.DB.SetJobLastDue(ctx, in.JobID, in.DueAt)
	}
	return run, toTemporal(ctx, err)
}

func (a *Activities) scheduledBackup(ctx context.Context, in contract.ScheduledInput) (contract.ScheduledRun, error) {
	id := executionIDOf(in)
	if _, err := a.DB.GetExecution(ctx, id); err == nil || !errors.Is(err, db.ErrNotFound) {
		return contract.ScheduledRun{ExecutionID: id}, err
	}
	job, err := a.DB.GetBackupJob(ctx, in.JobID)
	if errors.Is(err, db.ErrNotFound) {
		return contract.ScheduledRun{Skipped: "the job does not exist any more"}, nil
	}
	if err != nil {
		return contract.ScheduledRun{}, err
	}
	run, err := a.queueScheduled(ctx, id, job, in)
	if err == nil {
		err = a.DB.SetJobNextExecution(ctx, job.ID, job.Version,
			reconcile.NextRun(job.ScheduleCron, job.ScheduleTimezone, job.Enabled, job.SchedulePause, time.Now()), job.SchedulePause)
	}
	return run, err
}

// hasTurn reports whether a time is one at which a schedule of ours starts a run, which crons have no seconds for: what somebody
// triggers in Temporal by hand is due at the moment of it, and takes the turn of no other run.
func hasTurn(dueAt time.Time) bool {
	return !dueAt.IsZero() && dueAt.Equal(dueAt.Truncate(time.Minute))
}

func (a *Activities) queueScheduled(ctx context.Context, id string, job db.BackupJob, in contract.ScheduledInput) (contract.ScheduledRun, error) {
	datasource, err := a.DB.GetDatasource(ctx, job.DatasourceID)
	if err != nil {
		return contract.ScheduledRun{}, err
	}
	storage, err := a.DB.GetStorageLocation(ctx, job.StorageLocationID)
	if err != nil {
		return contract.ScheduledRun{}, err
	}
	if reason, err := a.whyNot(ctx, job, datasource, storage, in); reason != "" || err != nil {
		return contract.ScheduledRun{Skipped: reason}, err
	}
	options := job.BackupOptions
	options.Normalize()
	execution := db.Execution{
		ID: id, JobID: &job.ID, DatasourceID: &datasource.ID, StorageLocationID: &storage.ID, BackupType: options.BackupType,
		Metadata: domain.ExecutionMetadata{
			Operation: domain.OperationBackup, Trigger: domain.TriggerSchedule, Options: &options,
			WorkflowID: in.WorkflowID, RunID: in.RunID, ScheduledFor: &in.DueAt,
		},
	}
	if in.DueAt.IsZero() { // somebody started the workflow by hand
		execution.Metadata.ScheduledFor = nil
	}
	_, err = a.DB.CreateExecution(ctx, execution)
	if errors.Is(err, db.ErrActiveExecution) {
		return a.leaveToActive(ctx, job)
	}
	return contract.ScheduledRun{
		ExecutionID: id, Labels: contract.Labels{Job: job.Name, Datasource: datasource.Name, Storage: storage.Name},
	}, err
}

// whyNot says why a scheduled run does not take place; "" when it does.
func (a *Activities) whyNot(ctx context.Context, job db.BackupJob, datasource db.Datasource, storage db.StorageLocation, in contract.ScheduledInput) (string, error) {
	switch {
	case !job.Enabled:
		return "the job is disabled", nil
	case !datasource.Enabled:
		return "datasource " + quoted(datasource.Name) + " is disabled", nil
	case !storage.Enabled:
		return "storage location " + quoted(storage.Name) + " is disabled", nil
	case datasource.Pool != storage.Pool:
		return fmt.Sprintf("datasource %s is in pool %s and storage location %s in pool %s: no worker reaches both",
			quoted(datasource.Name), datasource.Pool, quoted(storage.Name), storage.Pool), nil
	}
	return a.whyNotDue(ctx, job.ScheduleCron, job.ScheduleTimezone, in.DueAt, func() (time.Time, error) {
		return a.DB.LastScheduledExecution(ctx, job.ID)
	})
}

// whyNotDue says why a run that its schedule started for a time is one too many: the clock shows the time twice, or the job's last
// scheduled run, whose beginning last finds, has made good for it. It has when it began after the last moment at which this one was
// to begin: one that began before is the run before, however late. "" when it is to take place; due is zero when no schedule started it.
func (a *Activities) whyNotDue(ctx context.Context, cron, timeZone string, due time.Time, last func() (time.Time, error)) (string, error) {
	if due.IsZero() {
		return "", nil
	}
	if cron != "" {
		repeat, err := schedule.IsRepeat(cron, timeZone, due)
		if err != nil || repeat {
			return "the clock is set back, and shows this time twice", err
		}
	}
	began, err := last()
	if err != nil || !due.Before(began) {
		return "", err
	}
	by, err := a.beginsBy(ctx, cron, timeZone, due)
	if err != nil || !by.Before(began) {
		return "", err
	}
	return fmt.Sprintf("it was due at %s, to begin by %s, and the run that began at %s has made good for it",
		due.UTC().Format(time.RFC3339), by.UTC().Format(time.RFC3339), began.UTC().Format(time.RFC3339)), nil
}

// beginsBy is the last moment at which a run that is due at a time begins, unless something keeps it from that: the end of the jitter,
// which goes no further than to the next run.
func (a *Activities) beginsBy(ctx context.Context, cron, timeZone string, due time.Time) (time.Time, error) {
	settings, err := a.DB.ScheduleSettings(ctx)
	if err != nil {
		return time.Time{}, err
	}
	by := due.Add(time.Duration(settings.JitterSeconds) * time.Second)
	if cron == "" {
		return by, nil
	}
	next, err := schedule.Next(cron, timeZone, due, 1)
	if err == nil && len(next) > 0 && next[0].Before(by) {
		by = next[0]
	}
	return by, err
}

// leaveToActive is the answer when another run of the job goes on, which is told of it.
func (a *Activities) leaveToActive(ctx context.Context, job db.BackupJob) (contract.ScheduledRun, error) {
	run := contract.ScheduledRun{Skipped: "another backup of the job is queued or running", Later: job.OverlapPolicy == domain.OverlapBufferOne}
	for _, status := range []domain.ExecutionStatus{domain.Running, domain.Queued} {
		active, _, err := a.DB.ListExecutions(ctx, db.ExecutionFilter{JobID: job.ID, Operation: domain.OperationBackup, Status: status}, db.Page{Limit: 1})
		if err != nil {
			return run, err
		}
		if len(active) > 0 {
			run.Skipped = fmt.Sprintf("execution %s of the job is %s", active[0].ID, status)
			if !run.Later {
				a.log(ctx, active[0].ID, "warning", "the job was due again by its schedule; that run does not take place, because this one goes on")
			}
			return run, nil
		}
	}
	return run, nil
}

// executionIDOf is the id of the execution of a workflow run: a UUID of version 7 that no other run has.
func executionIDOf(in contract.ScheduledInput) string {
	sum := sha256.Sum256([]byte(in.WorkflowID + "\x00" + in.RunID))
	id := uuid.UUID(sum[:16])
	milliseconds := uint64(in.StartedAt.UnixMilli())
	for i := range 6 {
		id[i] = byte(milliseconds >> (8 * (5 - i)))
	}
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return id.String()
}
