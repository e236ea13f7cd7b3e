package api

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// turns say which runs of a job's schedule have had their turn. Clients do not see them.
type turns struct {
	since   time.Time  // the schedule: what was due before is none of its runs
	lastDue *time.Time // when the newest run that it has started was due, also one that did not take place
}

// starting is when a job with a schedule begins next, as its answer shows it.
type starting struct {
	next           **time.Time
	cron, timeZone string
	turns          turns
}

func (j *BackupJob) starting() starting {
	return starting{&j.NextExecutionAt, j.ScheduleCron, j.ScheduleTimezone, j.turns}
}

func (j *SyncJob) starting() starting {
	return starting{&j.NextExecutionAt, j.ScheduleCron, j.ScheduleTimezone, j.turns}
}

func (j *DrillJob) starting() starting {
	return starting{&j.NextExecutionAt, j.ScheduleCron, j.ScheduleTimezone, j.turns}
}

// withJitter corrects the next run of jobs whose time has come and that have not begun, because the jitter spreads those of one
// moment: it is by the end of that.
func (s *server) withJitter(ctx context.Context, jobs ...starting) error {
	jitter, err := s.db.ScheduleJitter(ctx)
	switch {
	case failure.ClassOf(err) == failure.ConfigInvalid:
		return nil // jobs can be read all the same; who saves one is told
	case err != nil:
		return err
	}
	for _, job := range jobs {
		job.delay(time.Now(), jitter)
	}
	return nil
}

// withJitterSaved is withJitter for the answer to a change that has been made: it is not to say that it failed.
func (s *server) withJitterSaved(ctx context.Context, job starting) {
	if err := s.withJitter(ctx, job); err != nil {
		s.log.WarnContext(ctx, "the next run of a job is shown without the jitter", "error", err)
	}
}

func (j starting) delay(now time.Time, jitter time.Duration) {
	next := *j.next
	if next == nil || jitter == 0 {
		return
	}
	due, err := schedule.Latest(j.cron, j.timeZone, now, jitter)
	if err != nil || due.IsZero() || !due.After(j.turns.since) || j.turns.lastDue != nil && !j.turns.lastDue.Before(due) {
		return
	}
	if by := due.Add(jitter); by.Before(*next) { // no run is delayed beyond the next one
		*j.next = &by
	}
}

// startingOf lists them of the items of a page.
func startingOf[T any](items []T, of func(*T) starting) []starting {
	out := make([]starting, len(items))
	for i := range items {
		out[i] = of(&items[i])
	}
	return out
}
