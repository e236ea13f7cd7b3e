package api

import (
	"cmp"
	"slices"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// NextRun is when a backup job, a sync job or a drill job runs next.
type NextRun struct {
	Kind  string    `json:"kind" enum:"backup,sync,drill"`
	JobID string    `json:"job_id" format:"uuid"`
	Name  string    `json:"name"`
	At    time.Time `json:"at" doc:"When the cron is due, without the jitter (setting schedules.jitter_seconds)"`
}

// timing is when a schedule runs next, and the last run but one: zero if that is not known.
type timing struct{ next, lastButOne time.Time }

// timings calculates each schedule once: many jobs share one.
type timings struct {
	now   time.Time
	known map[[2]string]timing
}

// of gives the zero timing for a schedule that can not be calculated: an older version stored it, and the job's own
// page says why.
func (t timings) of(cron, zone string) timing {
	key := [2]string{cron, zone}
	at, seen := t.known[key]
	if !seen {
		if times, err := schedule.Next(cron, zone, t.now, 2); err == nil && len(times) == 2 {
			at = timing{next: times[0], lastButOne: t.lastButOne(cron, zone, times[1].Sub(times[0]))}
		}
		t.known[key] = at
	}
	return at
}

// lastButOne looks further and further back for the last two runs.
func (t timings) lastButOne(cron, zone string, period time.Duration) time.Time {
	const few, longest = 64, 400 * 24 * time.Hour
	for back := 2 * period; back < longest; back *= 2 {
		runs, err := schedule.Between(cron, zone, t.now.Add(-back), t.now, few)
		if err != nil || len(runs) == few { // too many to find the last
			return time.Time{}
		}
		if len(runs) >= 2 {
			return runs[len(runs)-2]
		}
	}
	return time.Time{}
}

// overdueSince is since when a job is overdue whose last backup ended, or whose schedule began, at last: the zero time if
// it is not. No job is overdue before its second run has passed, which spares most of them the calculation.
func (t timings) overdueSince(cron, zone string, last time.Time) time.Time {
	if second := t.of(cron, zone).lastButOne; !second.IsZero() && !last.Before(second) {
		return time.Time{}
	}
	due, err := schedule.OverdueAt(cron, zone, last)
	if err != nil || !due.Before(t.now) {
		return time.Time{}
	}
	return due
}

// agenda says what runs next, of backup jobs and others, and which backups should have run.
func agenda(jobs []db.ScheduledJob, others []db.OtherSchedule, now time.Time) ([]NextRun, []OverdueJob) {
	schedules := timings{now: now, known: map[[2]string]timing{}}
	next, overdue := []NextRun{}, []OverdueJob{}
	for _, job := range others {
		if at := schedules.of(job.Cron, job.TimeZone); !at.next.IsZero() && job.Pause == "" {
			next = append(next, NextRun{Kind: string(job.Kind), JobID: job.ID, Name: job.Name, At: at.next})
		}
	}
	for _, job := range jobs {
		at := schedules.of(job.Cron, job.TimeZone)
		if at.next.IsZero() {
			continue
		}
		if job.Pause == "" {
			next = append(next, NextRun{Kind: string(domain.OperationBackup), JobID: job.ID, Name: job.Name, At: at.next})
		}
		last := job.Since
		if job.LastCompletedAt != nil && job.LastCompletedAt.After(last) {
			last = *job.LastCompletedAt
		}
		if due := schedules.overdueSince(job.Cron, job.TimeZone, last); !due.IsZero() {
			overdue = append(overdue, OverdueJob{
				ID: job.ID, Name: job.Name, ScheduleCron: job.Cron, LastBackupAt: job.LastCompletedAt, OverdueSince: due,
			})
		}
	}
	slices.SortFunc(next, func(a, b NextRun) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Name, b.Name)) })
	slices.SortFunc(overdue, func(a, b OverdueJob) int {
		return cmp.Or(a.OverdueSince.Compare(b.OverdueSince), cmp.Compare(a.Name, b.Name))
	})
	return next[:min(len(next), dashboardNext)], overdue[:min(len(overdue), dashboardTrouble)]
}
