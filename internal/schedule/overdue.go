package schedule

import "time"

// OverdueAt is when a job is overdue whose last completed backup ended at last: after twice the time between its next two
// runs, and not before the second of them. It is the zero time for a cron without two more runs.
func OverdueAt(cron, timeZone string, last time.Time) (time.Time, error) {
	runs, err := Next(cron, timeZone, last, 2)
	if err != nil || len(runs) < 2 {
		return time.Time{}, err
	}
	at := last.Add(2 * runs[1].Sub(runs[0]))
	if at.Before(runs[1]) {
		at = runs[1]
	}
	return at.UTC(), nil
}
