package api

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/reconcile"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// previewedRuns is how many runs a preview shows.
const previewedRuns = 10

type previewInput struct {
	Cron     string `query:"cron" required:"true" maxLength:"100" doc:"Five fields, or one of @hourly, @daily, @weekly, @monthly, @yearly"`
	Timezone string `query:"timezone" maxLength:"64" doc:"IANA name; default UTC"`
}

// SchedulePreview is when a cron would run.
type SchedulePreview struct {
	Cron     string      `json:"cron"`
	Timezone string      `json:"timezone"`
	NextRuns []time.Time `json:"next_runs" doc:"In the time zone, without the jitter (setting schedules.jitter_seconds)"`
}

func (s *server) registerSchedules() {
	register(s, requires(auth.BackupJobsRead, auth.DBSyncJobsRead, auth.RestoreDrillJobsRead), huma.Operation{
		OperationID: "preview-schedule", Method: http.MethodGet, Path: "/api/schedules/preview", Tags: []string{"Backup jobs"},
		Summary: "The next ten runs of a cron",
		Description: "A time that the clock jumps over when summer begins is run as much later as it jumps, " +
			"and one that the clock shows twice when it ends is run once. A cron of every hour follows the real time.",
	}, s.previewSchedule)
}

func (s *server) previewSchedule(_ context.Context, in *previewInput) (*body[SchedulePreview], error) {
	var v domain.Invalid
	schedule.CheckCron(&v, "query.cron", in.Cron)
	schedule.CheckTimeZone(&v, "query.timezone", in.Timezone)
	if err := v.OrNil(); err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(in.Timezone)
	if err != nil {
		return nil, err
	}
	runs, err := schedule.Next(in.Cron, in.Timezone, time.Now(), previewedRuns)
	if err != nil {
		return nil, err
	}
	for i := range runs {
		runs[i] = runs[i].In(zone)
	}
	return &body[SchedulePreview]{SchedulePreview{Cron: strings.TrimSpace(in.Cron), Timezone: zone.String(), NextRuns: runs}}, nil
}

// putSchedule brings the schedule of a backup job in step, as the last thing before its transaction ends: when Temporal
// does not take it nothing is changed, and when the transaction fails after all, the next reconciliation
// puts it right. before is the job as it was, nil for a new one. Nothing is asked of Temporal when the schedule stays
// as it is.
func (s *server) putSchedule(ctx context.Context, q *db.Queries, before *db.BackupJob, job db.BackupJob) error {
	if before != nil && before.ScheduleCron != "" && job.ScheduleCron == "" {
		return s.removeSchedule(ctx, contract.BackupScheduleID(job.ID))
	}
	if job.ScheduleCron == "" {
		return nil
	}
	settings, err := q.ScheduleSettings(ctx)
	if err != nil {
		return err
	}
	wanted, err := backupSchedule(ctx, q, job, settings)
	if err != nil {
		return err
	}
	if before != nil && before.ScheduleCron != "" {
		had, err := backupSchedule(ctx, q, *before, settings)
		if err != nil || reflect.DeepEqual(had, wanted) {
			return err
		}
	}
	return outside(ctx, func(ctx context.Context) error {
		ctx, stop := context.WithTimeout(ctx, startTimeout)
		defer stop()
		if err := schedule.Put(ctx, s.temporal, wanted); err != nil {
			return s.temporalDown(ctx, "save the schedule of the job", err)
		}
		return nil
	})
}

func (s *server) removeSchedule(ctx context.Context, id string) error {
	return outside(ctx, func(ctx context.Context) error {
		ctx, stop := context.WithTimeout(ctx, startTimeout)
		defer stop()
		if err := schedule.Remove(ctx, s.temporal, id); err != nil {
			return s.temporalDown(ctx, "remove the schedule of the job", err)
		}
		return nil
	})
}

func backupSchedule(ctx context.Context, q *db.Queries, job db.BackupJob, settings domain.ScheduleSettings) (schedule.Spec, error) {
	datasource, err := q.GetDatasource(ctx, job.DatasourceID)
	if err != nil {
		return schedule.Spec{}, err
	}
	storage, err := q.GetStorageLocation(ctx, job.StorageLocationID)
	return reconcile.BackupSchedule(job, datasource, storage, settings), err
}

// nextRun is when a backup job runs next, as its row says it.
func nextRun(row db.BackupJob) *time.Time {
	return reconcile.NextRun(row.ScheduleCron, row.ScheduleTimezone, row.Enabled, row.SchedulePause, time.Now())
}
