package api

import (
	"cmp"
	"slices"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// NextRun is when a backup job runs next.
type NextRun struct {
	JobID string    `json:"job_id" format:"uuid"`
	Name  string    `json:"name"`
	At    time.Time `json:"at"`
}

// agenda says what runs next and what should have run. Many jobs share a schedule, which is
// calculated once.
func agenda(jobs []db.ScheduledJob, now time.Time) ([]NextRun, []OverdueJob) {
	type key struct{ cron, zone string }
	known := map[key]time.Time{}
	next, overdue := []NextRun{}, []OverdueJob{}
	for _, job := range jobs {
		at, seen := known[key{job.Cron, job.TimeZone}]
		if !seen {
			// One that can not be calculated was stored by an older version; the job's own page says why.
			if times, err := schedule.Next(job.Cron, job.TimeZone, now, 1); err == nil && len(times) == 1 {
				at = times[0]
			}
			known[key{job.Cron, job.TimeZone}] = at
		}
		if at.IsZero() {
			continue
		}
		if job.Pause == "" {
			next = append(next, NextRun{JobID: job.ID, Name: job.Name, At: at})
		}
		last := job.Since
		if job.LastCompletedAt != nil && job.LastCompletedAt.After(last) {
			last = *job.LastCompletedAt
		}
		if due, err := schedule.OverdueAt(job.Cron, job.TimeZone, last); err == nil && !due.IsZero() && due.Before(now) {
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
