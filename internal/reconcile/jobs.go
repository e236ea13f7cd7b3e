package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// scheduledKind is a kind of job that has schedules.
type scheduledKind struct {
	prefix string // of the schedule ids; the job's id follows
	// list reads every job of the kind, also those without a cron.
	list func(context.Context, *db.DB, domain.ScheduleSettings) ([]scheduledJob, error)
	// await returns when nobody is changing the job.
	await func(ctx context.Context, database *db.DB, id string) error
	// read is list for one job. Errors: db.ErrNotFound.
	read func(ctx context.Context, database *db.DB, settings domain.ScheduleSettings, id string) (scheduledJob, error)
}

// scheduledJob is a job, and what its schedule is to be; without a cron it has none.
type scheduledJob struct {
	id     string
	spec   schedule.Spec
	paused string // why the schedule is paused in Temporal, as it is stored
	// note stores why the schedule is paused in Temporal, where that has changed; nil stores nothing.
	note func(ctx context.Context, database *db.DB, pause string) error
}

// scheduledKinds lists all of them.
var scheduledKinds = []scheduledKind{
	{prefix: contract.BackupSchedulePrefix, list: listBackupJobs, await: awaitBackupJob, read: readBackupJob},
	syncSchedules,
	drillSchedules,
}

// trustedFor is how long the schedule of a job that was found right is believed to be, by every process: there may be ten
// thousand, of which each costs Temporal some 25 ms.
const trustedFor = time.Hour

// EnsureJobSchedules brings the schedules of all jobs in step with the catalogue: it makes those that are missing, corrects those that
// differ and removes those of jobs that are gone. Somebody's pause in Temporal stays, and is noted at the job. What a list does not
// show is compared once an hour, whoever does it, and when the job has changed. It goes on after an error with one schedule.
func EnsureJobSchedules(ctx context.Context, database *db.DB, temporal client.Client) (contract.SchedulesReport, error) {
	settings, err := database.ScheduleSettings(ctx)
	if err != nil {
		return contract.SchedulesReport{}, err
	}
	var prefixes []string
	for _, kind := range scheduledKinds {
		prefixes = append(prefixes, kind.prefix)
	}
	listed, err := schedule.List(ctx, temporal, prefixes...)
	if err != nil {
		return contract.SchedulesReport{}, err
	}
	compared, err := database.ComparedSchedules(ctx, trustedFor)
	if err != nil {
		return contract.SchedulesReport{}, err
	}
	look := &comparison{db: database, temporal: temporal, settings: settings, compared: compared, listed: listed}
	var failed []error
	for _, kind := range scheduledKinds {
		jobs, err := kind.list(ctx, database, settings)
		if err != nil {
			return look.report, errors.Join(append(failed, err)...)
		}
		for _, job := range jobs {
			look.report.Jobs++
			if err := look.ensureOne(ctx, kind, job); err != nil {
				failed = append(failed, err)
				if unreachable(err) {
					return look.report, errors.Join(failed...)
				}
			}
		}
		if err := look.removeForgotten(ctx, kind, jobs); err != nil {
			failed = append(failed, err)
		}
	}
	return look.report, errors.Join(failed...)
}

func listBackupJobs(ctx context.Context, database *db.DB, settings domain.ScheduleSettings) ([]scheduledJob, error) {
	datasources, storages := map[string]db.Datasource{}, map[string]db.StorageLocation{}
	var out []scheduledJob
	page := db.Page{Limit: db.MaxPageSize}
	for {
		rows, next, err := database.ListBackupJobs(ctx, page)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			datasource, err := remembered(ctx, datasources, row.DatasourceID, database.GetDatasource)
			if errors.Is(err, db.ErrNotFound) {
				continue // the job has just been deleted
			}
			if err != nil {
				return nil, err
			}
			storage, err := remembered(ctx, storages, row.StorageLocationID, database.GetStorageLocation)
			if errors.Is(err, db.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			out = append(out, scheduledBackup(row, datasource, storage, settings))
		}
		if next == "" {
			return out, nil
		}
		page.Cursor = next
	}
}

func awaitBackupJob(ctx context.Context, database *db.DB, id string) error {
	return database.AwaitBackupJob(ctx, id)
}

// awaitRunJob is await for jobs of syncs and drills.
func awaitRunJob(kind db.RunKind) func(context.Context, *db.DB, string) error {
	return func(ctx context.Context, database *db.DB, id string) error {
		return database.AwaitRunJob(ctx, kind, id)
	}
}

func readBackupJob(ctx context.Context, database *db.DB, settings domain.ScheduleSettings, id string) (scheduledJob, error) {
	row, err := database.GetBackupJob(ctx, id)
	if err != nil {
		return scheduledJob{}, err
	}
	datasource, err := database.GetDatasource(ctx, row.DatasourceID)
	if err != nil {
		return scheduledJob{}, err
	}
	storage, err := database.GetStorageLocation(ctx, row.StorageLocationID)
	return scheduledBackup(row, datasource, storage, settings), err
}

func scheduledBackup(row db.BackupJob, datasource db.Datasource, storage db.StorageLocation, settings domain.ScheduleSettings) scheduledJob {
	return scheduledJob{id: row.ID, spec: BackupSchedule(row, datasource, storage, settings), paused: row.SchedulePause, note: noteBackupJob(row)}
}

// noteBackupJob keeps the next run of a job true, for lists that are sorted by it.
func noteBackupJob(row db.BackupJob) func(context.Context, *db.DB, string) error {
	return func(ctx context.Context, database *db.DB, pause string) error {
		next := NextRun(row.ScheduleCron, row.ScheduleTimezone, row.Enabled, pause, time.Now())
		if sameTime(next, row.NextExecutionAt) && pause == row.SchedulePause {
			return nil
		}
		return database.SetJobNextExecution(ctx, row.ID, row.Version, next, pause)
	}
}

func sameTime(a, b *time.Time) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(*b)
}

// remembered reads each row once.
func remembered[T any](ctx context.Context, known map[string]T, id string, read func(context.Context, string) (T, error)) (T, error) {
	if row, isKnown := known[id]; isKnown {
		return row, nil
	}
	row, err := read(ctx, id)
	if err != nil {
		return row, fmt.Errorf("read what a job names: %w", err)
	}
	known[id] = row
	return row, nil
}
