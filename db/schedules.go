package db

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// SetJobNextExecution notes when a backup job runs next, nil for never, and why its schedule is paused in Temporal, ""
// for not. A job that is gone, or has another version by now, is no error: who changed it noted that too.
func (q *Queries) SetJobNextExecution(ctx context.Context, id string, version int64, next *time.Time, pause string) error {
	return translate("note the next run of backup job "+id,
		q.q.SetJobNextExecution(ctx, dbgen.SetJobNextExecutionParams{ID: id, Version: version, NextExecutionAt: next, SchedulePause: cleanText(pause)}))
}

// SetJobLastDue notes that the run of a backup job that was due at a time has had its turn: it has begun, or does not take place. It
// is no change of the job; a later one that was noted stays.
func (q *Queries) SetJobLastDue(ctx context.Context, id string, dueAt time.Time) error {
	return translate("note the last run of backup job "+id, q.q.SetJobLastDue(ctx, dbgen.SetJobLastDueParams{ID: id, DueAt: dueAt}))
}

// AwaitBackupJob returns when no transaction is changing the job: what is read afterwards is what they have made of it. A
// job that is gone is no error.
func (q *Queries) AwaitBackupJob(ctx context.Context, id string) error {
	op := "await the changes of backup job " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	return translate(op, q.q.AwaitBackupJob(ctx, id))
}

// LastScheduledExecution is when the newest execution that the schedule of a backup job started was queued; zero if there
// is none.
func (q *Queries) LastScheduledExecution(ctx context.Context, jobID string) (time.Time, error) {
	at, err := q.q.LastScheduledExecution(ctx, &jobID)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	return at, translate("read the last scheduled run of backup job "+jobID, err)
}

// ScheduleSettings reads how schedules are run; the default where nothing is set. A value that is out of range, which only
// somebody's own SQL can have stored, is ConfigInvalid.
func (q *Queries) ScheduleSettings(ctx context.Context) (domain.ScheduleSettings, error) {
	s := domain.DefaultSchedules()
	for key, into := range map[string]*int{domain.SettingCatchupWindow: &s.CatchupWindowMinutes, domain.SettingJitter: &s.JitterSeconds} {
		if err := q.setting(ctx, key, into); err != nil {
			return s, err
		}
	}
	return s, inRange(scheduleSettings, s.Validate())
}

const scheduleSettings = "read the settings of schedules"

// ScheduleJitter reads the jitter of ScheduleSettings alone.
func (q *Queries) ScheduleJitter(ctx context.Context) (time.Duration, error) {
	s := domain.DefaultSchedules()
	if err := q.setting(ctx, domain.SettingJitter, &s.JitterSeconds); err != nil {
		return 0, err
	}
	return time.Duration(s.JitterSeconds) * time.Second, inRange(scheduleSettings, s.Validate())
}

// SetScheduleSettings stores them; updatedBy is the id of a user, "" for the system. Errors: domain.Invalid.
func (q *Queries) SetScheduleSettings(ctx context.Context, s domain.ScheduleSettings, updatedBy string) error {
	if err := s.Validate().OrNil(); err != nil {
		return err
	}
	if err := q.putSetting(ctx, domain.SettingCatchupWindow, s.CatchupWindowMinutes, updatedBy); err != nil {
		return err
	}
	return q.putSetting(ctx, domain.SettingJitter, s.JitterSeconds, updatedBy)
}
