package api

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/reconcile"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// scheduleSync brings the schedule of a sync job in step, as the last thing before its transaction ends; see
// putSchedule. before is the cron that it had.
func (s *server) scheduleSync(ctx context.Context, q *db.Queries, before string, job db.SyncJob) error {
	return s.scheduleRuns(ctx, q, before, func(settings domain.ScheduleSettings) (schedule.Spec, error) {
		return reconcile.SyncSchedule(db.Unscoped(ctx), q, job, settings)
	})
}

// scheduleDrill is scheduleSync for a drill job.
func (s *server) scheduleDrill(ctx context.Context, q *db.Queries, before string, job db.DrillJob) error {
	return s.scheduleRuns(ctx, q, before, func(settings domain.ScheduleSettings) (schedule.Spec, error) {
		return reconcile.DrillSchedule(db.Unscoped(ctx), q, job, settings)
	})
}

func (s *server) scheduleRuns(ctx context.Context, q *db.Queries, before string, spec func(domain.ScheduleSettings) (schedule.Spec, error)) error {
	settings, err := q.ScheduleSettings(ctx)
	if err != nil {
		return err
	}
	wanted, err := spec(settings)
	switch {
	case err != nil:
		return err
	case wanted.Cron == "" && before == "":
		return nil
	case wanted.Cron == "":
		return s.unschedule(ctx, wanted.ID, before)
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

// unschedule removes the schedule of a job that had the cron.
func (s *server) unschedule(ctx context.Context, id, cron string) error {
	if cron == "" {
		return nil
	}
	return s.removeSchedule(ctx, id)
}

// nextTime is when a schedule fires next, nil for never.
func nextTime(enabled bool, cron, timeZone, pause string) *time.Time {
	return reconcile.NextRun(cron, timeZone, enabled, pause, time.Now())
}

// checkOverlap completes an overlap policy and records what is wrong with it.
func checkOverlap(v *domain.Invalid, policy *domain.OverlapPolicy) {
	if *policy == "" {
		*policy = domain.OverlapSkip
	}
	if *policy != domain.OverlapSkip && *policy != domain.OverlapBufferOne {
		v.Add("overlap_policy", "is %q; use skip or buffer_one", *policy)
	}
}

// pauseThatStays is somebody's pause in Temporal after a change of the job: disabling ends it.
func pauseThatStays(enabled bool, cron, pause string) string {
	if !enabled || cron == "" {
		return ""
	}
	return pause
}
