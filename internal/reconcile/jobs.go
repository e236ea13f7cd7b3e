package reconcile

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
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
	// exists is ErrNotFound for a job that is gone.
	exists func(ctx context.Context, database *db.DB, id string) error
}

// scheduledJob is a job, and what its schedule is to be; without a cron it has none.
type scheduledJob struct {
	id   string
	spec schedule.Spec
	// note stores why the schedule is paused in Temporal, where that has changed; nil stores nothing.
	note func(ctx context.Context, database *db.DB, pause string) error
}

// scheduledKinds lists all of them.
var scheduledKinds = []scheduledKind{
	{prefix: contract.BackupSchedulePrefix, list: listBackupJobs, exists: func(ctx context.Context, database *db.DB, id string) error {
		_, err := database.GetBackupJob(ctx, id)
		return err
	}},
	syncSchedules,
	drillSchedules,
}

// JobSchedules brings the schedules of all jobs in step with the catalogue. One may be used by several goroutines, one after the other.
type JobSchedules struct {
	mu      sync.Mutex
	right   map[string]schedule.Spec // by schedule id, as it was last put
	checked time.Time                // when all were put
}

// Ensure makes the schedules that are missing, corrects those that differ and removes those of jobs that are gone. Somebody's pause
// in Temporal stays, and is noted at the job. What a list does not show is compared once an hour, and when the
// job has changed. It goes on after an error with one schedule.
func (s *JobSchedules) Ensure(ctx context.Context, database *db.DB, temporal client.Client) (contract.SchedulesReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var report contract.SchedulesReport
	settings, err := database.ScheduleSettings(ctx)
	if err != nil {
		return report, err
	}
	var prefixes []string
	for _, kind := range scheduledKinds {
		prefixes = append(prefixes, kind.prefix)
	}
	listed, err := schedule.List(ctx, temporal, prefixes...)
	if err != nil {
		return report, err
	}
	if s.comparesAll(time.Now()) {
		s.right, s.checked = map[string]schedule.Spec{}, time.Now()
	}
	var failed []error
	for _, kind := range scheduledKinds {
		jobs, err := kind.list(ctx, database, settings)
		if err != nil {
			return report, errors.Join(append(failed, err)...)
		}
		for _, job := range jobs {
			report.Jobs++
			if err := s.ensureOne(ctx, database, temporal, job, listed, &report); err != nil {
				failed = append(failed, err)
				if unreachable(err) {
					return report, errors.Join(failed...)
				}
			}
		}
		if err := s.removeForgotten(ctx, database, temporal, kind, jobs, listed, &report); err != nil {
			failed = append(failed, err)
		}
	}
	return report, errors.Join(failed...)
}

// recheckJobsAfter is how long the schedule of a job that was found right is believed to be: there may be ten thousand, of which
// each costs Temporal some 25 ms.
const recheckJobsAfter = time.Hour

func (s *JobSchedules) comparesAll(now time.Time) bool {
	return s.right == nil || now.Sub(s.checked) > recheckJobsAfter
}

func (s *JobSchedules) ensureOne(ctx context.Context, database *db.DB, temporal client.Client, job scheduledJob, listed map[string]schedule.Listed, report *contract.SchedulesReport) error {
	entry, there := listed[job.spec.ID]
	if job.spec.Cron == "" {
		return nil // removeForgotten takes what is left of an earlier cron
	}
	if right, known := s.right[job.spec.ID]; !there || !known || !reflect.DeepEqual(right, job.spec) || !entry.Fits(job.spec) {
		if err := schedule.Put(ctx, temporal, job.spec); err != nil {
			return err
		}
		switch {
		case !there:
			report.Made++
		case known || !entry.Fits(job.spec):
			report.Corrected++
		}
		s.right[job.spec.ID] = job.spec
	}
	pause := ""
	if job.spec.Enabled {
		pause = entry.Pause
	}
	if pause != "" {
		report.Paused++
	}
	if job.note == nil {
		return nil
	}
	return job.note(ctx, database, pause)
}

// removeForgotten deletes the schedules of jobs that are gone or have no cron any more.
func (s *JobSchedules) removeForgotten(ctx context.Context, database *db.DB, temporal client.Client, kind scheduledKind, jobs []scheduledJob, listed map[string]schedule.Listed, report *contract.SchedulesReport) error {
	crons := map[string]string{}
	for _, job := range jobs {
		crons[job.spec.ID] = job.spec.Cron
	}
	for id := range listed {
		jobID, ours := strings.CutPrefix(id, kind.prefix)
		cron, known := crons[id]
		if !ours || cron != "" {
			continue
		}
		if !known { // one that was made since the jobs were read is not to go
			if err := kind.exists(ctx, database, jobID); !errors.Is(err, db.ErrNotFound) {
				if err != nil {
					return err
				}
				continue
			}
		}
		if err := schedule.Remove(ctx, temporal, id); err != nil {
			return err
		}
		delete(s.right, id)
		report.Removed++
	}
	return nil
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
			out = append(out, scheduledJob{id: row.ID, spec: BackupSchedule(row, datasource, storage, settings), note: noteBackupJob(row)})
		}
		if next == "" {
			return out, nil
		}
		page.Cursor = next
	}
}

// noteBackupJob keeps the next run of a job true, for lists that are sorted by it.
func noteBackupJob(row db.BackupJob) func(context.Context, *db.DB, string) error {
	return func(ctx context.Context, database *db.DB, pause string) error {
		next := NextRun(row.ScheduleCron, row.ScheduleTimezone, row.Enabled, pause, time.Now())
		if sameTime(next, row.NextExecutionAt) && pause == row.SchedulePause {
			return nil
		}
		return database.SetJobNextExecution(ctx, row.ID, next, pause)
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
