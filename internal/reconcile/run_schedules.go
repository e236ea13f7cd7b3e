package reconcile

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// runCatchup is how late a sync or drill that an outage prevented is still started.
const runCatchup = 12 * time.Hour

// RunSchedules keeps the Temporal schedules of sync jobs and drill jobs as the catalogue wants them. Several
// processes may each have one.
type RunSchedules struct {
	db       *db.DB
	temporal client.Client
	right    map[string]string // schedule id -> the version of the job that it is for
	checked  time.Time
}

// NewRunSchedules returns a RunSchedules that has looked at nothing yet.
func NewRunSchedules(database *db.DB, temporal client.Client) *RunSchedules {
	return &RunSchedules{db: database, temporal: temporal}
}

// Ensure makes and corrects the schedules of jobs that have changed, and deletes those of jobs that are gone
// or have no cron. It looks at all of them the first time and once an hour.
func (s *RunSchedules) Ensure(ctx context.Context) error {
	all := time.Since(s.checked) > recheckAfter
	if all {
		s.right = map[string]string{}
	}
	wanted, err := s.wanted(ctx)
	if err != nil {
		return err
	}
	for id, job := range wanted {
		if s.right[id] == job.version {
			continue
		}
		if err := job.put(ctx); err != nil {
			return err
		}
		s.right[id] = job.version
	}
	for id := range s.right {
		if _, kept := wanted[id]; !kept {
			if err := schedule.Remove(ctx, s.temporal, id); err != nil {
				return err
			}
			delete(s.right, id)
		}
	}
	if all {
		if err := s.removeForgotten(ctx, wanted); err != nil {
			return err
		}
		s.checked = time.Now()
	}
	return nil
}

// scheduledRuns is a job with a cron.
type scheduledRuns struct {
	version string
	put     func(context.Context) error
}

func (s *RunSchedules) wanted(ctx context.Context) (map[string]scheduledRuns, error) {
	out := map[string]scheduledRuns{}
	for page := (db.Page{Limit: db.MaxPageSize}); ; {
		jobs, next, err := s.db.ListSyncJobs(ctx, db.JobFilter{}, page)
		if err != nil {
			return nil, err
		}
		for _, job := range jobs {
			if job.ScheduleCron != "" {
				out[contract.SyncScheduleID(job.ID)] = scheduledRuns{fmt.Sprint(job.Version), func(ctx context.Context) error { return PutSyncSchedule(ctx, s.db, s.temporal, job) }}
			}
		}
		if page.Cursor = next; next == "" {
			break
		}
	}
	for page := (db.Page{Limit: db.MaxPageSize}); ; {
		jobs, next, err := s.db.ListDrillJobs(ctx, db.JobFilter{}, page)
		if err != nil {
			return nil, err
		}
		for _, job := range jobs {
			if job.ScheduleCron != "" {
				out[contract.DrillScheduleID(job.ID)] = scheduledRuns{fmt.Sprint(job.Version), func(ctx context.Context) error { return PutDrillSchedule(ctx, s.db, s.temporal, job) }}
			}
		}
		if page.Cursor = next; next == "" {
			return out, nil
		}
	}
}

// removeForgotten deletes schedules of jobs that went, or lost their cron, while nobody looked.
func (s *RunSchedules) removeForgotten(ctx context.Context, wanted map[string]scheduledRuns) error {
	listed, err := s.temporal.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: 100})
	if err != nil {
		return err
	}
	for listed.HasNext() {
		entry, err := listed.Next()
		if err != nil {
			return err
		}
		ours := strings.HasPrefix(entry.ID, contract.SyncScheduleID("")) || strings.HasPrefix(entry.ID, contract.DrillScheduleID(""))
		if _, kept := wanted[entry.ID]; !ours || kept {
			continue
		}
		// One that was made since the jobs were read is not to go.
		if again, err := s.wanted(ctx); err != nil {
			return err
		} else if _, kept := again[entry.ID]; kept {
			continue
		}
		if err := schedule.Remove(ctx, s.temporal, entry.ID); err != nil {
			return err
		}
	}
	return nil
}

// PutSyncSchedule makes the schedule of a sync job as the job is, or takes it away from one that has no cron.
func PutSyncSchedule(ctx context.Context, database *db.DB, c client.Client, job db.SyncJob) error {
	labels := contract.Labels{Job: job.Name, Storage: "none, direct"}
	if job.StorageLocationID != nil {
		location, err := database.GetStorageLocation(ctx, *job.StorageLocationID)
		if err != nil {
			return err
		}
		labels.Storage = location.Name
	}
	return putRunSchedule(ctx, database, c, runSchedule{
		id: contract.SyncScheduleID(job.ID), cron: job.ScheduleCron, timeZone: job.ScheduleTimezone, enabled: job.Enabled, name: contract.Sync.Name,
		operation: "sync", note: "Sync job " + job.Name, where: job.Into(), input: contract.RunInput{JobID: job.ID, Labels: labels},
	})
}

// PutDrillSchedule is PutSyncSchedule for a drill job.
func PutDrillSchedule(ctx context.Context, database *db.DB, c client.Client, job db.DrillJob) error {
	labels := contract.Labels{Job: job.Name, Storage: "that of the backup"}
	return putRunSchedule(ctx, database, c, runSchedule{
		id: contract.DrillScheduleID(job.ID), cron: job.ScheduleCron, timeZone: job.ScheduleTimezone, enabled: job.Enabled, name: contract.RestoreDrill.Name,
		operation: "drill", note: "Restore drill " + job.Name, where: job.TargetDatasourceID, input: contract.RunInput{JobID: job.ID, Labels: labels},
	})
}

type runSchedule struct {
	id, cron, timeZone    string
	enabled               bool
	name, operation, note string
	where                 string // the datasource whose pool does the work
	input                 contract.RunInput
}

func putRunSchedule(ctx context.Context, database *db.DB, c client.Client, s runSchedule) error {
	if s.cron == "" {
		return schedule.Remove(ctx, c, s.id)
	}
	where, err := database.GetDatasource(ctx, s.where)
	if err != nil {
		return err
	}
	s.input.Labels.Datasource = where.Name
	return schedule.Put(ctx, c, schedule.Spec{
		ID: s.id, Cron: s.cron, TimeZone: s.timeZone, Enabled: s.enabled, Overlap: domain.OverlapSkip, Note: s.note,
		Workflow: s.name, Input: s.input, TaskQueue: contract.TaskQueue(where.Pool), CatchupWindow: runCatchup,
		Search: temporal.NewSearchAttributes(contract.SearchOperation.ValueSet(s.operation), contract.SearchJob.ValueSet(s.input.Labels.Job),
			contract.SearchDatasource.ValueSet(where.Name), contract.SearchStorage.ValueSet(s.input.Labels.Storage)),
	})
}
