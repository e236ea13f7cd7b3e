package reconcile

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

var syncSchedules = scheduledKind{prefix: contract.SyncScheduleID(""), list: listSyncJobs, await: awaitRunJob(db.RunSync), read: func(ctx context.Context, database *db.DB, settings domain.ScheduleSettings, id string) (scheduledJob, error) {
	row, err := database.GetSyncJob(ctx, id)
	if err != nil {
		return scheduledJob{}, err
	}
	return scheduledSync(ctx, database, row, settings)
}}

var drillSchedules = scheduledKind{prefix: contract.DrillScheduleID(""), list: listDrillJobs, await: awaitRunJob(db.RunDrill), read: func(ctx context.Context, database *db.DB, settings domain.ScheduleSettings, id string) (scheduledJob, error) {
	row, err := database.GetDrillJob(ctx, id)
	if err != nil {
		return scheduledJob{}, err
	}
	return scheduledDrill(ctx, database, row, settings)
}}

func listSyncJobs(ctx context.Context, database *db.DB, settings domain.ScheduleSettings) ([]scheduledJob, error) {
	var out []scheduledJob
	for page := (db.Page{Limit: db.MaxPageSize}); ; {
		rows, next, err := database.ListSyncJobs(ctx, db.JobFilter{}, page)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			job, err := scheduledSync(ctx, database, row, settings)
			if errors.Is(err, db.ErrNotFound) {
				continue // the job has just been deleted
			}
			if err != nil {
				return nil, err
			}
			out = append(out, job)
		}
		if page.Cursor = next; next == "" {
			return out, nil
		}
	}
}

func listDrillJobs(ctx context.Context, database *db.DB, settings domain.ScheduleSettings) ([]scheduledJob, error) {
	var out []scheduledJob
	for page := (db.Page{Limit: db.MaxPageSize}); ; {
		rows, next, err := database.ListDrillJobs(ctx, db.JobFilter{}, page)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			job, err := scheduledDrill(ctx, database, row, settings)
			if errors.Is(err, db.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			out = append(out, job)
		}
		if page.Cursor = next; next == "" {
			return out, nil
		}
	}
}

func scheduledSync(ctx context.Context, database *db.DB, row db.SyncJob, settings domain.ScheduleSettings) (scheduledJob, error) {
	spec, err := SyncSchedule(ctx, database.Queries, row, settings)
	return scheduledJob{id: row.ID, spec: spec, paused: row.SchedulePause, note: noteRunJob(db.RunSync, row.ID, row.Version, spec, row.NextExecutionAt, row.SchedulePause)}, err
}

func scheduledDrill(ctx context.Context, database *db.DB, row db.DrillJob, settings domain.ScheduleSettings) (scheduledJob, error) {
	spec, err := DrillSchedule(ctx, database.Queries, row, settings)
	return scheduledJob{id: row.ID, spec: spec, paused: row.SchedulePause, note: noteRunJob(db.RunDrill, row.ID, row.Version, spec, row.NextExecutionAt, row.SchedulePause)}, err
}

// noteRunJob is noteBackupJob for a sync job or a drill job, of which next and paused are stored.
func noteRunJob(kind db.RunKind, id string, version int64, spec schedule.Spec, next *time.Time, paused string) func(context.Context, *db.DB, string) error {
	return func(ctx context.Context, database *db.DB, pause string) error {
		now := NextRun(spec.Cron, spec.TimeZone, spec.Enabled, pause, time.Now())
		if sameTime(now, next) && pause == paused {
			return nil
		}
		return database.SetRunJobNext(ctx, kind, id, version, now, pause)
	}
}

// SyncSchedule is the schedule of a sync job as it should be.
func SyncSchedule(ctx context.Context, q *db.Queries, job db.SyncJob, settings domain.ScheduleSettings) (schedule.Spec, error) {
	labels := contract.Labels{Job: job.Name, Storage: "none, direct"}
	if job.StorageLocationID != nil {
		location, err := q.GetStorageLocation(ctx, *job.StorageLocationID)
		if err != nil {
			return schedule.Spec{}, err
		}
		labels.Storage = location.Name
	}
	return runSchedule(ctx, q, job.Into(), labels, settings, schedule.Spec{
		ID: contract.SyncScheduleID(job.ID), Cron: job.ScheduleCron, TimeZone: job.ScheduleTimezone, Enabled: job.Enabled, Overlap: job.OverlapPolicy,
		Note: "Sync job " + job.Name, Workflow: contract.Sync.Name, Input: contract.RunInput{JobID: job.ID},
	}, "sync")
}

// DrillSchedule is the schedule of a drill job as it should be.
func DrillSchedule(ctx context.Context, q *db.Queries, job db.DrillJob, settings domain.ScheduleSettings) (schedule.Spec, error) {
	return runSchedule(ctx, q, job.TargetDatasourceID, contract.Labels{Job: job.Name, Storage: "that of the backup"}, settings, schedule.Spec{
		ID: contract.DrillScheduleID(job.ID), Cron: job.ScheduleCron, TimeZone: job.ScheduleTimezone, Enabled: job.Enabled, Overlap: job.OverlapPolicy,
		Note: "Restore drill " + job.Name, Workflow: contract.RestoreDrill.Name, Input: contract.RunInput{JobID: job.ID},
	}, "drill")
}

// runSchedule completes a schedule; where is the datasource whose pool does the work.
func runSchedule(ctx context.Context, q *db.Queries, where string, labels contract.Labels, settings domain.ScheduleSettings, s schedule.Spec, operation string) (schedule.Spec, error) {
	d, err := q.GetDatasource(ctx, where)
	if err != nil {
		return s, err
	}
	labels.Datasource = d.Name
	input, _ := s.Input.(contract.RunInput)
	input.Labels = labels
	s.Input, s.TaskQueue, s.CatchupWindow = input, contract.TaskQueue(d.Pool), time.Duration(settings.CatchupWindowMinutes)*time.Minute
	s.Jitter = time.Duration(settings.JitterSeconds) * time.Second
	s.Search = temporal.NewSearchAttributes(contract.SearchOperation.ValueSet(operation), contract.SearchJob.ValueSet(labels.Job),
		contract.SearchDatasource.ValueSet(labels.Datasource), contract.SearchStorage.ValueSet(labels.Storage))
	return s, nil
}
