package reconcile

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// BackupSchedule is the schedule that a backup job with a cron is to have.
func BackupSchedule(job db.BackupJob, datasource db.Datasource, storage db.StorageLocation, settings domain.ScheduleSettings) schedule.Spec {
	labels := contract.Labels{Job: job.Name, Datasource: datasource.Name, Storage: storage.Name}
	return schedule.Spec{
		ID: contract.BackupScheduleID(job.ID), Cron: job.ScheduleCron, TimeZone: job.ScheduleTimezone, Enabled: job.Enabled, Overlap: job.OverlapPolicy,
		Note:     fmt.Sprintf("Back up %s to %s (job %s)", datasource.Name, storage.Name, job.Name),
		Workflow: contract.Backup.Name, Input: contract.ExecutionInput{JobID: job.ID, Labels: labels},
		TaskQueue: contract.TaskQueue(storage.Pool),
		Search: temporal.NewSearchAttributes(
			contract.SearchOperation.ValueSet(string(domain.OperationBackup)), contract.SearchJob.ValueSet(job.Name),
			contract.SearchDatasource.ValueSet(datasource.Name), contract.SearchStorage.ValueSet(storage.Name)),
		Jitter:        time.Duration(settings.JitterSeconds) * time.Second,
		CatchupWindow: time.Duration(settings.CatchupWindowMinutes) * time.Minute,
	}
}

// NextRun is when a job with this schedule runs next, nil for never. A cron that can not be read is never due, and
// is not stored either.
func NextRun(cron, timeZone string, enabled bool, pause string, from time.Time) *time.Time {
	if cron == "" || !enabled || pause != "" {
		return nil
	}
	next, err := schedule.Next(cron, timeZone, from, 1)
	if err != nil || len(next) == 0 {
		return nil
	}
	return &next[0]
}
