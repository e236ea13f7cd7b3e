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
	At    time.Time `json:"at"`
}

// timing is when a schedule runs next, and how far its runs are apart.
type timing struct {
	next   time.Time
	period time.Duration
}

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
			at = timing{next: times[0], period: times[1].Sub(times[0])}
		}
		t.known[key] = at
	}
	return at
}

// agenda says what runs next, of backup jobs and others, and which backups should have run.
func agenda(jobs []db.ScheduledJob, others []db.OtherSchedule, now time.Time) ([]NextRun, []OverdueJob) {
	schedules := timings{now: now, known: map[[2]string]timing{}}
	next, overdue := []NextRun{}, []OverdueJob{}
	for _, job := range others {
		if at := schedules.of(job.Cron, job.TimeZone); !at.next.IsZero() {
			next = append(next, NextRun{Kind: string(job.Kind), JobID: job.ID, Name: job.Name, At: at.next})
		}
	}
	for _, job := range jobs {
		at := schedules.of(job.Cron, job.TimeZone)
		if at.next.IsZero() {
			continue
		}
		next = append(next, NextRun{Kind: string(domain.OperationBackup), JobID: job.ID, Name: job.Name, At: at.next})
		last := job.CreatedAt
		if job.LastCompletedAt != nil {
			last = *job.LastCompletedAt
		}
		if due := last.Add(2 * at.period); due.Before(now) {
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
