package reconcile_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/reconcile"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// kept stands in for Temporal's schedules. before is called once for a schedule that is about to be written or removed, by its id.
type kept struct {
	client.ScheduleClient
	there  map[string]client.Schedule
	older  map[string]client.Schedule // what lists still show of them
	before map[string]func()
	asked  []string // the ids that were to be written
}

func (k *kept) about(id string) {
	if do := k.before[id]; do != nil {
		delete(k.before, id)
		do()
	}
}

func (k *kept) List(context.Context, client.ScheduleListOptions) (client.ScheduleListIterator, error) {
	entries := &listed{}
	for id, s := range k.there {
		if older, is := k.older[id]; is {
			s = older
		}
		entries.left = append(entries.left, &client.ScheduleListEntry{ID: id, Spec: s.Spec, Paused: s.State.Paused, Note: s.State.Note})
	}
	return entries, nil
}

type listed struct{ left []*client.ScheduleListEntry }

func (l *listed) HasNext() bool { return len(l.left) > 0 }

func (l *listed) Next() (*client.ScheduleListEntry, error) {
	next := l.left[0]
	l.left = l.left[1:]
	return next, nil
}

func (k *kept) Create(_ context.Context, o client.ScheduleOptions) (client.ScheduleHandle, error) {
	k.about(o.ID)
	k.asked = append(k.asked, o.ID)
	if _, exists := k.there[o.ID]; exists {
		return nil, temporal.ErrScheduleAlreadyRunning
	}
	k.there[o.ID] = client.Schedule{
		Action: o.Action, Spec: &o.Spec, Policy: &client.SchedulePolicies{Overlap: o.Overlap, CatchupWindow: o.CatchupWindow},
		State: &client.ScheduleState{Paused: o.Paused, Note: o.Note},
	}
	return nil, nil
}

func (k *kept) GetHandle(_ context.Context, id string) client.ScheduleHandle {
	handle := &mocks.ScheduleHandle{}
	handle.On("Describe", mock.Anything).Return(func(context.Context) (*client.ScheduleDescription, error) {
		return &client.ScheduleDescription{Schedule: k.there[id]}, nil
	})
	handle.On("Delete", mock.Anything).Return(func(context.Context) error {
		k.about(id)
		delete(k.there, id)
		return nil
	})
	handle.On("Update", mock.Anything, mock.Anything).Return(func(_ context.Context, o client.ScheduleUpdateOptions) error {
		update, err := o.DoUpdate(client.ScheduleUpdateInput{Description: client.ScheduleDescription{Schedule: k.there[id]}})
		if err == nil {
			k.there[id] = *update.Schedule
		}
		return nil
	})
	return handle
}

// upkept is an installation whose schedules the upkeep compares.
type upkept struct {
	t         *testing.T
	url       string
	d         *db.DB
	schedules *kept
	temporal  *mocks.Client
	source    db.Datasource
	disk      db.StorageLocation
}

func newUpkept(t *testing.T) *upkept {
	t.Helper()
	url := dbtest.URL(t)
	u := &upkept{t: t, url: url, d: dbtest.Open(t, url), schedules: &kept{there: map[string]client.Schedule{}, before: map[string]func(){}}, temporal: &mocks.Client{}}
	u.temporal.On("ScheduleClient").Return(u.schedules)
	u.disk = location(t, u.d, "disk")
	var err error
	u.source, err = u.d.CreateDatasource(t.Context(), db.Datasource{Name: "orders", Type: domain.Postgres, Enabled: true})
	require.NoError(t, err)
	return u
}

func (u *upkept) job(name, cron string) db.BackupJob {
	u.t.Helper()
	job, err := u.d.CreateBackupJob(u.t.Context(), db.BackupJob{
		Name: name, DatasourceID: u.source.ID, StorageLocationID: u.disk.ID, Enabled: true, ScheduleCron: cron,
	})
	require.NoError(u.t, err)
	return job
}

func (u *upkept) ensure() contract.SchedulesReport {
	u.t.Helper()
	report, err := reconcile.EnsureJobSchedules(u.t.Context(), u.d, u.temporal)
	require.NoError(u.t, err)
	return report
}

// save is what the API does when somebody gives the job another cron: the schedule is written before the change is committed.
func (u *upkept) save(q *db.Queries, job db.BackupJob, cron string) {
	job.ScheduleCron, job.NextExecutionAt = cron, reconcile.NextRun(cron, "", true, "", time.Now())
	job, err := q.UpdateBackupJob(context.Background(), job)
	require.NoError(u.t, err)
	require.NoError(u.t, schedule.Put(context.Background(), u.temporal, reconcile.BackupSchedule(job, u.source, u.disk, domain.DefaultSchedules())))
}

// runsAt are the hours of the job's schedule, none when it has no schedule.
func (u *upkept) runsAt(job db.BackupJob) (hours []int) {
	if s, is := u.schedules.there[contract.BackupScheduleID(job.ID)]; is {
		for _, hour := range s.Spec.Calendars[0].Hour {
			hours = append(hours, hour.Start)
		}
	}
	return hours
}

func TestTheUpkeepDoesNotPutBackTheCronThatAJobHadWhenItBegan(t *testing.T) {
	u := newUpkept(t)
	for name, c := range map[string]struct {
		cron string
		// edit changes the job's cron to 15 4 * * * while the upkeep is at work.
		edit func(job db.BackupJob)
	}{
		"while it is at another job": {"0 2 * * *", func(job db.BackupJob) { u.save(u.d.Queries, job, "15 4 * * *") }},
		"while it writes the very schedule, before the change is committed": {"0 2 * * *", func(job db.BackupJob) {
			written, committed := make(chan struct{}), make(chan error, 1)
			go func() {
				committed <- u.d.InTx(context.Background(), func(q *db.Queries) error {
					u.save(q, job, "15 4 * * *")
					close(written)
					u.awaitWaiter()
					return nil
				})
			}()
			<-written
			t.Cleanup(func() { require.NoError(t, <-committed) })
		}},
		"while it removes the schedule of a job without a cron": {"", func(job db.BackupJob) { u.save(u.d.Queries, job, "15 4 * * *") }},
	} {
		t.Run(name, func(t *testing.T) {
			u.schedules.there = map[string]client.Schedule{}
			edited := u.job(name, c.cron)
			id := contract.BackupScheduleID(edited.ID)
			u.schedules.before[id] = func() { c.edit(edited) }
			if name == "while it is at another job" { // the newest is looked at first
				other := u.job("other", "0 3 * * *")
				u.schedules.before[contract.BackupScheduleID(other.ID)] = u.schedules.before[id]
				delete(u.schedules.before, id)
			}
			if c.cron == "" {
				u.schedules.there[id] = client.Schedule{Spec: &client.ScheduleSpec{}, State: &client.ScheduleState{}}
			}
			u.ensure()
			require.Equal(t, []int{4}, u.runsAt(edited))
			report := u.ensure()
			require.Zero(t, report.Made+report.Corrected+report.Removed, "nothing is left to do")
			stored, err := u.d.GetBackupJob(t.Context(), edited.ID)
			require.NoError(t, err)
			require.Equal(t, "04:15", stored.NextExecutionAt.UTC().Format("15:04"), "nor when the job runs next")
		})
	}
}

// awaitWaiter returns when somebody waits for a row that a transaction has locked.
func (u *upkept) awaitWaiter() {
	require.Eventually(u.t, func() bool {
		return dbtest.Count(u.t, u.url, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 0
	}, 2*time.Minute, 10*time.Millisecond)
}

// A job is deleted while the upkeep makes the schedule that it lacked.
func TestTheUpkeepLeavesNoScheduleOfAJobThatIsDeletedMeanwhile(t *testing.T) {
	u := newUpkept(t)
	job := u.job("nightly", "0 2 * * *")
	u.schedules.before[contract.BackupScheduleID(job.ID)] = func() { require.NoError(t, u.d.DeleteBackupJob(t.Context(), job.ID)) }
	u.ensure()
	require.Empty(t, u.schedules.there)
}

// What was read of a job that has been changed since says nothing about its next run, nor about a pause.
func TestTheNextRunOfAnOlderVersionIsNotStored(t *testing.T) {
	u := newUpkept(t)
	job := u.job("nightly", "0 2 * * *")
	at := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	changed, err := u.d.UpdateBackupJob(t.Context(), job)
	require.NoError(t, err)
	require.NoError(t, u.d.SetJobNextExecution(t.Context(), job.ID, job.Version, &at, "a pause that the change has ended"))
	read, err := u.d.GetBackupJob(t.Context(), job.ID)
	require.NoError(t, err)
	require.Empty(t, read.SchedulePause)
	require.Nil(t, read.NextExecutionAt)
	require.NoError(t, u.d.SetJobNextExecution(t.Context(), job.ID, changed.Version, &at, "too much load"))
	read, err = u.d.GetBackupJob(t.Context(), job.ID)
	require.NoError(t, err)
	require.Equal(t, "too much load", read.SchedulePause)
	require.Equal(t, at, read.NextExecutionAt.UTC())
}

// Temporal's lists know of a change only a moment later.
func TestAPauseThatHasJustEndedIsNotNotedAgain(t *testing.T) {
	u := newUpkept(t)
	job := u.job("nightly", "0 2 * * *")
	id := contract.BackupScheduleID(job.ID)
	u.ensure()
	going := u.schedules.there[id]
	paused := going
	paused.State = &client.ScheduleState{Paused: true, Note: "the disk is being moved"}
	shown := func() string {
		read, err := u.d.GetBackupJob(t.Context(), job.ID)
		require.NoError(t, err)
		require.Equal(t, read.SchedulePause == "", read.NextExecutionAt != nil)
		return read.SchedulePause
	}
	u.schedules.older = map[string]client.Schedule{id: paused}
	require.Zero(t, u.ensure().Paused)
	require.Empty(t, shown(), "the list is of before the pause ended")

	u.schedules.there[id], u.schedules.older = paused, nil
	require.Equal(t, 1, u.ensure().Paused)
	require.Equal(t, "the disk is being moved", shown())
	u.schedules.older = map[string]client.Schedule{id: going}
	require.Equal(t, 1, u.ensure().Paused)
	require.Equal(t, "the disk is being moved", shown(), "the list is of before the pause")
	u.schedules.there[id] = going
	require.Zero(t, u.ensure().Paused)
	require.Empty(t, shown())
}

// The upkeep runs on whichever worker takes it, every five minutes; to compare ten thousand schedules takes it as long.
func TestWhatOneWorkerHasComparedAnotherTrustsForAnHour(t *testing.T) {
	u := newUpkept(t)
	nightly, weekly := u.job("nightly", "0 2 * * *"), u.job("weekly", "@weekly")
	night, week := contract.BackupScheduleID(nightly.ID), contract.BackupScheduleID(weekly.ID)
	compared := func() []string {
		u.schedules.asked = nil
		u.ensure()
		return u.schedules.asked
	}
	require.ElementsMatch(t, []string{night, week}, compared())

	u.d = dbtest.Open(t, u.url) // as another process, or this one after a restart
	require.Empty(t, compared(), "another worker compares nothing again")
	ago := func(id, age string) {
		dbtest.Execute(t, u.url, "UPDATE compared_schedules SET compared_at = now() - $2::interval WHERE schedule_id = $1", id, age)
	}
	ago(night, "59 minutes")
	require.Empty(t, compared())
	ago(night, "61 minutes")
	unlisted := u.schedules.there[night]
	unlisted.Action.(*client.ScheduleWorkflowAction).TaskQueue = "nobody"
	require.Equal(t, []string{night}, compared(), "one is compared again when it was long ago")
	require.Equal(t, contract.TaskQueue(u.disk.Pool), u.schedules.there[night].Action.(*client.ScheduleWorkflowAction).TaskQueue,
		"and what a list does not show is put right")
	require.Empty(t, compared())
	ago(week, "-1 minute")
	require.Equal(t, []string{week}, compared(), "a time in the future is one from before the clock was set back")

	u.disk.Pool = "elsewhere" // what a list does not show either
	_, err := u.d.UpdateStorageLocation(t.Context(), u.disk)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{night, week}, compared(), "what the catalogue says now is written at once")
	require.Equal(t, "dataguardian.elsewhere", u.schedules.there[week].Action.(*client.ScheduleWorkflowAction).TaskQueue)

	delete(u.schedules.there, week)
	require.Equal(t, []string{week}, compared(), "and so is one that Temporal has lost")
	require.NoError(t, u.d.DeleteBackupJob(t.Context(), weekly.ID))
	delete(u.schedules.there, week) // as the API does
	require.NoError(t, u.d.DeleteBackupJob(t.Context(), nightly.ID))
	require.Empty(t, compared())
	require.Empty(t, u.schedules.there)
	require.Zero(t, dbtest.Count(t, u.url, "SELECT count(*) FROM compared_schedules"), "nothing is kept of what is gone")
}
