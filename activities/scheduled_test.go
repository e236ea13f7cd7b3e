package activities_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/activities"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func (s *site) queueScheduled(in contract.ScheduledInput) contract.ScheduledRun {
	s.t.Helper()
	if in.JobID == "" {
		in.JobID = s.job.ID
	}
	in.WorkflowID, in.StartedAt = "backup-job-"+s.job.ID, time.Now()
	acts := activities.New(activities.Options{DB: s.d, Logger: slog.New(slog.DiscardHandler)})
	run, err := acts.QueueScheduledBackup(s.t.Context(), in)
	require.NoError(s.t, err)
	return run
}

func (s *site) setJob(change func(*db.BackupJob)) {
	s.t.Helper()
	change(&s.job)
	s.job.Version = 0
	var err error
	s.job, err = s.d.UpdateBackupJob(s.t.Context(), s.job)
	require.NoError(s.t, err)
}

func TestAScheduledRunMakesItsExecutionOnce(t *testing.T) {
	s := newSite(t)
	s.setJob(func(j *db.BackupJob) { j.ScheduleCron, j.ScheduleTimezone = "@daily", "UTC" })
	due, started := time.Now().UTC().Truncate(time.Second), time.Now()
	acts := activities.New(activities.Options{DB: s.d, Logger: slog.New(slog.DiscardHandler)})
	in := contract.ScheduledInput{JobID: s.job.ID, WorkflowID: "backup-job-x", RunID: "one", StartedAt: started, DueAt: due}
	run, err := acts.QueueScheduledBackup(t.Context(), in)
	require.NoError(t, err)
	require.Empty(t, run.Skipped)
	require.Equal(t, contract.Labels{Job: "nightly", Datasource: "orders", Storage: "/disk"}, run.Labels)
	row, err := s.d.GetExecution(t.Context(), run.ExecutionID)
	require.NoError(t, err)
	require.Equal(t, domain.Queued, row.Status)
	require.Equal(t, domain.TriggerSchedule, row.Metadata.Trigger)
	require.Equal(t, due, row.Metadata.ScheduledFor.UTC())
	require.Equal(t, "backup-job-x", row.Metadata.WorkflowID)
	require.Equal(t, uuid.Version(7), uuid.MustParse(row.ID).Version())
	job, err := s.d.GetBackupJob(t.Context(), s.job.ID)
	require.NoError(t, err)
	require.Equal(t, due.Truncate(24*time.Hour).Add(24*time.Hour), job.NextExecutionAt.UTC())

	again, err := acts.QueueScheduledBackup(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, run.ExecutionID, again.ExecutionID, "a try after a lost answer makes no second one")
}

func TestAScheduledRunThatDoesNotTakePlaceSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*site)
		in      contract.ScheduledInput
		want    string
		later   bool
	}{
		"the job is gone":     {in: contract.ScheduledInput{JobID: uuid.NewString()}, want: "the job does not exist any more"},
		"the job is disabled": {prepare: func(s *site) { s.setJob(func(j *db.BackupJob) { j.Enabled = false }) }, want: "the job is disabled"},
		"the datasource is disabled": {prepare: func(s *site) {
			d, err := s.d.GetDatasource(s.t.Context(), s.job.DatasourceID)
			require.NoError(s.t, err)
			d.Enabled = false
			_, err = s.d.UpdateDatasource(s.t.Context(), d)
			require.NoError(s.t, err)
		}, want: `datasource "orders" is disabled`},
		"the clock shows it twice": {
			prepare: func(s *site) {
				s.setJob(func(j *db.BackupJob) { j.ScheduleCron, j.ScheduleTimezone = "30 1 * * *", "America/New_York" })
			},
			in:   contract.ScheduledInput{DueAt: time.Date(2026, 11, 1, 6, 30, 0, 0, time.UTC)},
			want: "the clock is set back, and shows this time twice",
		},
		"a later run has made good for it": {
			prepare: func(s *site) {
				run := s.queueScheduled(contract.ScheduledInput{RunID: "first", DueAt: time.Now()})
				require.NoError(s.t, s.d.FinishExecution(s.t.Context(), run.ExecutionID, db.Finish{Status: domain.Completed}))
			},
			in: contract.ScheduledInput{DueAt: time.Now().Add(-time.Hour)}, want: "has made good for it",
		},
		"another run goes on": {prepare: func(s *site) {
			s.queueScheduled(contract.ScheduledInput{RunID: "first", DueAt: time.Now()})
		}, want: "of the job is queued"},
		"another run goes on, and it may wait": {prepare: func(s *site) {
			s.setJob(func(j *db.BackupJob) { j.OverlapPolicy = domain.OverlapBufferOne })
			s.queueScheduled(contract.ScheduledInput{RunID: "first", DueAt: time.Now()})
		}, want: "of the job is queued", later: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			if c.prepare != nil {
				c.prepare(s)
			}
			if c.in.DueAt.IsZero() {
				c.in.DueAt = time.Now().Add(time.Minute)
			}
			run := s.queueScheduled(c.in)
			require.Contains(t, run.Skipped, c.want)
			require.Empty(t, run.ExecutionID)
			require.Equal(t, c.later, run.Later)
		})
	}
}

func TestTheRunThatIsInTheWayIsToldOfIt(t *testing.T) {
	s := newSite(t)
	first := s.queueScheduled(contract.ScheduledInput{RunID: "first", DueAt: time.Now()})
	s.queueScheduled(contract.ScheduledInput{RunID: "second", DueAt: time.Now().Add(time.Minute)})
	row, err := s.d.GetExecution(t.Context(), first.ExecutionID)
	require.NoError(t, err)
	require.Contains(t, row.Metadata.ExecutionLogs[0].Message, "the job was due again by its schedule")
}

// beginRun begins a scheduled run of a sync job or a drill job.
func (s *site) beginRun(kind db.RunKind, in contract.BeginRunInput) contract.RunPlan {
	s.t.Helper()
	acts := activities.New(activities.Options{DB: s.d, Logger: slog.New(slog.DiscardHandler)})
	begin := acts.BeginSync
	if kind == db.RunDrill {
		begin = acts.BeginDrill
	}
	in.WorkflowID = "w-" + in.WorkflowRun
	plan, err := begin(s.t.Context(), in)
	require.NoError(s.t, err)
	return plan
}

// runJobs makes a sync job and a drill job with a cron.
func (s *site) runJobs(cron, zone string) map[db.RunKind]string {
	s.t.Helper()
	target, err := s.d.CreateDatasource(s.t.Context(), db.Datasource{Name: "copy", Type: domain.Postgres, Enabled: true})
	require.NoError(s.t, err)
	sync, err := s.d.CreateSyncJob(s.t.Context(), db.SyncJob{
		Name: "sync", SourceDatasourceID: s.job.DatasourceID, TargetDatasourceID: target.ID, Enabled: true,
		OverwriteDirection: domain.SourceToTarget, ScheduleCron: cron, ScheduleTimezone: zone,
	})
	require.NoError(s.t, err)
	drill, err := s.d.CreateDrillJob(s.t.Context(), db.DrillJob{
		Name: "drill", DatasourceID: s.job.DatasourceID, TargetDatasourceID: target.ID, Enabled: true, MaxBackupAgeHours: 1,
		ScheduleCron: cron, ScheduleTimezone: zone,
	})
	require.NoError(s.t, err)
	return map[db.RunKind]string{db.RunSync: sync.ID, db.RunDrill: drill.ID}
}

func TestAScheduledSyncOrDrillLeavesOutWhatIsOneTooMany(t *testing.T) {
	s := newSite(t)
	for kind, job := range s.runJobs("30 1 * * *", "America/New_York") {
		twice := s.beginRun(kind, contract.BeginRunInput{JobID: job, WorkflowRun: "1", DueAt: time.Date(2026, 11, 1, 6, 30, 0, 0, time.UTC)})
		require.Equal(t, "the clock is set back, and shows this time twice", twice.Skip, kind)

		due := time.Now().UTC().Truncate(time.Second)
		first := s.beginRun(kind, contract.BeginRunInput{JobID: job, WorkflowRun: "2", DueAt: due})
		require.Empty(t, first.Skip, kind)
		require.Equal(t, first.RunID, s.beginRun(kind, contract.BeginRunInput{JobID: job, WorkflowRun: "2", DueAt: due}).RunID, "again, it is the same")
		run, err := s.d.GetRun(t.Context(), kind, first.RunID)
		require.NoError(t, err)
		require.Equal(t, due, run.Metadata.ScheduledFor.UTC())
		require.Contains(t, s.beginRun(kind, contract.BeginRunInput{JobID: job, WorkflowRun: "3", DueAt: due.Add(time.Minute)}).Skip, "of the job is running")
		_, err = s.d.FinishRun(t.Context(), kind, first.RunID, db.Finish{Status: domain.Completed}, 0, "")
		require.NoError(t, err)
		require.Contains(t, s.beginRun(kind, contract.BeginRunInput{JobID: job, WorkflowRun: "4", DueAt: due.Add(-time.Hour)}).Skip, "has made good for it", kind)
		require.Empty(t, s.beginRun(kind, contract.BeginRunInput{JobID: job, WorkflowRun: "5", DueAt: due.Add(time.Hour)}).Skip, "the next one takes place")
	}
}

// A clock was a year ahead when a run was made, and is right again.
func TestARunFromTheFutureDoesNotMakeGoodForThoseOfToday(t *testing.T) {
	s := newSite(t)
	run := s.queueScheduled(contract.ScheduledInput{RunID: "first", DueAt: time.Now()})
	require.NoError(t, s.d.FinishExecution(t.Context(), run.ExecutionID, db.Finish{Status: domain.Completed}))
	dbtest.Execute(t, s.url, `UPDATE backup_executions SET created_at = now() + interval '1 year'`)
	require.Empty(t, s.queueScheduled(contract.ScheduledInput{RunID: "second", DueAt: time.Now()}).Skipped)

	for kind, job := range s.runJobs("@daily", "UTC") {
		first := s.beginRun(kind, contract.BeginRunInput{JobID: job, WorkflowRun: "1", DueAt: time.Now()})
		_, err := s.d.FinishRun(t.Context(), kind, first.RunID, db.Finish{Status: domain.Completed}, 0, "")
		require.NoError(t, err)
		for _, table := range []string{"database_sync_executions", "restore_drill_executions"} {
			dbtest.Execute(t, s.url, `UPDATE `+table+` SET created_at = now() + interval '1 year'`)
		}
		require.Empty(t, s.beginRun(kind, contract.BeginRunInput{JobID: job, WorkflowRun: "2", DueAt: time.Now()}).Skip, kind)
	}
}

// Its workflow was never told the id of its row.
func TestAScheduledRunThatCouldNotBeginIsClosed(t *testing.T) {
	s := newSite(t)
	acts := activities.New(activities.Options{DB: s.d, Logger: slog.New(slog.DiscardHandler)})
	for kind, job := range s.runJobs("@daily", "UTC") {
		finish := acts.FinishSync
		if kind == db.RunDrill {
			finish = acts.FinishDrill
		}
		made := s.beginRun(kind, contract.BeginRunInput{JobID: job, WorkflowRun: "1", DueAt: time.Now()})
		for _, end := range []struct {
			run  string
			left domain.ExecutionStatus
		}{{"another", domain.Running}, {"1", domain.Failed}, {"1", domain.Failed}} {
			_, err := finish(t.Context(), contract.FinishRunInput{
				FinishInput: contract.FinishInput{Status: domain.Failed, Message: "it could not begin"}, JobID: job, WorkflowRun: end.run,
			})
			require.NoError(t, err)
			row, err := s.d.GetRun(t.Context(), kind, made.RunID)
			require.NoError(t, err)
			require.Equal(t, end.left, row.Status, "%s after the end of run %s", kind, end.run)
		}
		require.Empty(t, s.beginRun(kind, contract.BeginRunInput{JobID: job, WorkflowRun: "2", DueAt: time.Now().Add(time.Minute)}).Skip, "the job is free")
	}
}

// lastDue is what the job of a kind says of its runs' turns; "" is a backup job.
func (s *site) lastDue(kind db.RunKind, id string) (at *time.Time, version int64) {
	s.t.Helper()
	switch kind {
	case db.RunSync:
		job, err := s.d.GetSyncJob(s.t.Context(), id)
		require.NoError(s.t, err)
		return job.LastDueAt, job.Version
	case db.RunDrill:
		job, err := s.d.GetDrillJob(s.t.Context(), id)
		require.NoError(s.t, err)
		return job.LastDueAt, job.Version
	default:
		job, err := s.d.GetBackupJob(s.t.Context(), id)
		require.NoError(s.t, err)
		return job.LastDueAt, job.Version
	}
}

// What is shown of the job's next run asks which run has had its turn: one that has begun and one that does not take place, and none
// that still waits or that no schedule of ours has started.
func TestAScheduledRunThatHasHadItsTurnIsNoted(t *testing.T) {
	s := newSite(t)
	jobs := s.runJobs("* * * * *", "UTC")
	jobs[""] = s.job.ID
	s.setJob(func(j *db.BackupJob) { j.ScheduleCron = "* * * * *" })
	acts := activities.New(activities.Options{DB: s.d, Logger: slog.New(slog.DiscardHandler)})
	now := time.Now().UTC().Truncate(time.Minute)
	for kind, job := range jobs {
		begin := func(run string, dueAt time.Time) (id string) {
			t.Helper()
			if kind == "" {
				made, err := acts.QueueScheduledBackup(t.Context(), contract.ScheduledInput{JobID: job, WorkflowID: "w", RunID: run, StartedAt: now, DueAt: dueAt})
				require.NoError(t, err)
				return made.ExecutionID
			}
			return s.beginRun(kind, contract.BeginRunInput{JobID: job, WorkflowRun: run, DueAt: dueAt}).RunID
		}
		setJob := func(columns string) {
			t.Helper()
			for _, table := range []string{"backup_jobs", "database_sync_jobs", "restore_drill_jobs"} {
				dbtest.Execute(t, s.url, `UPDATE `+table+` SET `+columns+` WHERE id = $1`, job)
			}
		}
		_, version := s.lastDue(kind, job)
		requireNoted := func(want time.Time, why string) {
			t.Helper()
			at, is := s.lastDue(kind, job)
			require.NotNil(t, at, "%q: %s", kind, why)
			require.Equal(t, want, at.UTC(), "%q: %s", kind, why)
			require.Equal(t, version, is, "it is no change of the job")
		}
		setJob(`enabled = false`)
		require.Empty(t, begin("disabled", now.Add(-4*time.Minute)))
		requireNoted(now.Add(-4*time.Minute), "it does not take place")
		setJob(`enabled = true`)
		require.NotEmpty(t, begin("first", now.Add(-3*time.Minute)))
		requireNoted(now.Add(-3*time.Minute), "it has begun")
		require.Empty(t, begin("second", now.Add(time.Minute)))
		requireNoted(now.Add(time.Minute), "it is skipped, because the first one goes on")
		setJob(`last_due_at = NULL`)
		require.NotEmpty(t, begin("first", now.Add(-3*time.Minute)), "the answer was lost, and it is tried again")
		requireNoted(now.Add(-3*time.Minute), "it has begun")
		require.Empty(t, begin("late", now.Add(-5*time.Minute)))
		requireNoted(now.Add(-3*time.Minute), "an earlier one is no later one")

		setJob(`overlap_policy = 'buffer_one'`)
		require.Empty(t, begin("waits", now.Add(2*time.Minute)))
		requireNoted(now.Add(-3*time.Minute), "it waits for the first one, and takes place")
		setJob(`overlap_policy = 'skip'`)
		require.Empty(t, begin("triggered", now.Add(2*time.Minute+31*time.Second)))
		require.Empty(t, begin("by hand", time.Time{}))
		requireNoted(now.Add(-3*time.Minute), "somebody started them in Temporal")
	}
}

// With a jitter as long as the time between two runs, one may begin when the next one is due already: that is no outage, and both
// take place. One that began after the whole time in which another was to begin has made good for it.
func TestARunThatBeginsLateInItsJitterDoesNotTakeThePlaceOfTheNext(t *testing.T) {
	s := newSite(t)
	const cron = "0 * * * *"
	jobs := s.runJobs(cron, "UTC")
	jobs[""] = s.job.ID
	s.setJob(func(j *db.BackupJob) { j.ScheduleCron = cron })
	due := time.Now().UTC().Truncate(time.Hour) // now is within its jitter, and behind that of the one before
	for _, jitter := range []int{3600, 7200} {  // it goes no further than to the next run
		require.NoError(t, s.d.SetScheduleSettings(t.Context(), domain.ScheduleSettings{CatchupWindowMinutes: 60, JitterSeconds: jitter}, ""))
		for kind, job := range jobs {
			run := func(run string, dueAt time.Time) (skipped string) {
				t.Helper()
				if kind == "" {
					queued := s.queueScheduled(contract.ScheduledInput{RunID: run, DueAt: dueAt})
					if queued.ExecutionID != "" {
						require.NoError(t, s.d.FinishExecution(t.Context(), queued.ExecutionID, db.Finish{Status: domain.Completed}))
					}
					return queued.Skipped
				}
				plan := s.beginRun(kind, contract.BeginRunInput{JobID: job, WorkflowRun: run, DueAt: dueAt})
				if plan.RunID != "" {
					_, err := s.d.FinishRun(t.Context(), kind, plan.RunID, db.Finish{Status: domain.Completed}, 0, "")
					require.NoError(t, err)
				}
				return plan.Skip
			}
			name := func(what string) string { return fmt.Sprintf("%s %d", what, jitter) }
			if jitter == 3600 {
				require.Empty(t, run(name("first"), due.Add(-time.Hour)), "%q", kind)
			}
			require.Empty(t, run(name("next"), due), "%q: it is on time", kind)
			missed := run(name("missed"), due.Add(-2*time.Hour))
			require.Contains(t, missed, "has made good for it", "%q", kind)
			require.Contains(t, missed, "to begin by "+due.Add(-time.Hour).Format(time.RFC3339), "%q", kind)
			require.NotContains(t, missed, "outage", "it may have waited for something else")
		}
	}
}
