package api

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/reconcile"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// The schedules of sync jobs and drill jobs follow their rows. When Temporal can not be reached now, the
// comparison that runs every minute (process.StartReconciling) brings them up to date.

// scheduleSync brings the schedule of a job up to date that had the cron before, "" for none.
func (s *server) scheduleSync(ctx context.Context, before string, job db.SyncJob) {
	if before != "" || job.ScheduleCron != "" {
		s.bestEffort(ctx, job.ID, func(ctx context.Context) error { return reconcile.PutSyncSchedule(ctx, s.db, s.temporal, job) })
	}
}

// scheduleDrill is scheduleSync for a drill job.
func (s *server) scheduleDrill(ctx context.Context, before string, job db.DrillJob) {
	if before != "" || job.ScheduleCron != "" {
		s.bestEffort(ctx, job.ID, func(ctx context.Context) error { return reconcile.PutDrillSchedule(ctx, s.db, s.temporal, job) })
	}
}

// unschedule removes the schedule of a job that had the cron, "" for none.
func (s *server) unschedule(ctx context.Context, id, cron string) {
	if cron != "" {
		s.bestEffort(ctx, id, func(ctx context.Context) error { return schedule.Remove(ctx, s.temporal, id) })
	}
}

func (s *server) bestEffort(ctx context.Context, what string, do func(context.Context) error) {
	afterwards(ctx, func(ctx context.Context) {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
		defer stop()
		if err := do(ctx); err != nil {
			s.log.WarnContext(ctx, "a schedule is not up to date yet", "of", what, "error", err)
		}
	})
}

// nextTime is when a schedule fires next, nil for never.
func nextTime(enabled bool, cron, timeZone string) *time.Time {
	if !enabled || cron == "" {
		return nil
	}
	times, err := schedule.Next(cron, timeZone, time.Now(), 1)
	if err != nil || len(times) == 0 {
		return nil
	}
	return &times[0]
}
