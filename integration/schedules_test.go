package integration

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	temporal "go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/activities"
	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/process"
	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
	"github.com/dataguardian/dataguardian/internal/standalone/temporalserver"
	"github.com/dataguardian/dataguardian/worker"
)

// island is a platform of its own, whose servers a test may stop and start again.
type island struct {
	*platform
	t     *testing.T
	state string // folder of Temporal's data
}

func newIsland(t *testing.T) *island {
	t.Helper()
	t.Parallel()
	p := &platform{pool: domain.DefaultPool}
	t.Cleanup(p.close)
	var err error
	p.dir, err = os.MkdirTemp("", "dataguardian-island-")
	require.NoError(t, err)
	p.onClose(func() { _ = os.RemoveAll(p.dir) })
	require.NoError(t, os.Chmod(p.dir, 0o755)) //nolint:gosec // the private Postgres runs as another user
	i := &island{platform: p, t: t, state: "temporal"}
	i.startPostgres(0)
	p.catalogue, err = p.postgres.EnsureDatabase(t.Context(), "dataguardian")
	require.NoError(t, err)
	i.startTemporal(0)
	p.onClose(func() { _ = p.postgres.Stop(context.Background()); p.temporal.Stop(context.Background()) })
	require.NoError(t, p.startProduct(t.Context()))
	require.NoError(t, p.signUp(t.Context()))
	require.NoError(t, p.db.SetScheduleSettings(t.Context(), domain.ScheduleSettings{CatchupWindowMinutes: 60}, ""))
	t.Cleanup(func() {
		if *record && !t.Failed() {
			require.NoError(t, p.replayEverything(context.Background()))
		}
	})
	return i
}

func (i *island) startPostgres(port int) {
	i.t.Helper()
	var err error
	i.postgres, err = postgres.Start(context.Background(), postgres.Options{DataDir: filepath.Join(i.dir, "postgres"), NoSync: true, Port: port})
	require.NoError(i.t, err)
}

func (i *island) startTemporal(port int) {
	i.t.Helper()
	var err error
	i.temporal, err = temporalserver.Start(context.Background(), temporalserver.Options{
		DataDir: filepath.Join(i.dir, i.state), UIPort: temporalserver.NoUI, FrontendPort: port,
	})
	require.NoError(i.t, err)
}

// filesJob makes a job that backs up a folder with one file of so many bytes.
func (i *island) filesJob(name string, bytes int, document client.BackupJobDocument) client.BackupJob {
	i.t.Helper()
	return makeFilesJob(i.t, i.owner, i.pool, name, bytes, document)
}

func makeFilesJob(t *testing.T, owner *client.Client, pool, name string, bytes int, document client.BackupJobDocument) client.BackupJob {
	t.Helper()
	tree := t.TempDir()
	noise := make([]byte, bytes)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	require.NoError(t, os.WriteFile(filepath.Join(tree, "file"), noise, 0o600))
	datasource, err := owner.Datasources.Create(t.Context(), client.DatasourceDocument{
		Name: name, Type: domain.Files, Pool: pool, ConnectionConfig: domain.ConnectionConfig{SourcePath: tree},
	})
	require.NoError(t, err)
	storage, err := owner.StorageLocations.Create(t.Context(), client.StorageLocationDocument{
		Name: name, Type: domain.StorageLocal, Pool: pool, Config: domain.StorageConfig{Path: filepath.Join(t.TempDir(), "backups")},
	})
	require.NoError(t, err)
	document.Name, document.DatasourceID, document.StorageLocationID = name, datasource.ID, storage.ID
	job, err := owner.BackupJobs.Create(t.Context(), document)
	require.NoError(t, err)
	return job
}

// runs are the scheduled executions of a job by when they were due.
func (i *island) runs(job client.BackupJob) map[time.Time]client.Execution {
	i.t.Helper()
	all, err := i.owner.ListExecutions(i.t.Context(), client.ExecutionFilter{Job: job.ID})
	require.NoError(i.t, err)
	runs := map[time.Time]client.Execution{}
	for _, e := range all {
		require.Equal(i.t, domain.TriggerSchedule, e.Metadata.Trigger)
		runs[e.Metadata.ScheduledFor.UTC()] = e
	}
	return runs
}

// often is how often the job of a test runs, whose schedule is made so in Temporal: a cron has minutes.
const often = 6 * time.Second

// runOften is what somebody may do in Temporal. No upkeep puts it back here.
func (i *island) runOften(jobID string) { i.runEvery(jobID, often) }

// runOnce is runOften for one run at a whole second: an interval as long as it is since 1970 is met then, and not again for half
// a century.
func (i *island) runOnce(jobID string, at time.Time) {
	i.runEvery(jobID, time.Duration(at.Unix())*time.Second)
}

func (i *island) runEvery(jobID string, every time.Duration) {
	i.t.Helper()
	handle := i.dialled.ScheduleClient().GetHandle(i.t.Context(), contract.BackupScheduleID(jobID))
	require.NoError(i.t, handle.Update(i.t.Context(), temporal.ScheduleUpdateOptions{
		DoUpdate: func(in temporal.ScheduleUpdateInput) (*temporal.ScheduleUpdate, error) {
			changed := in.Description.Schedule
			changed.Spec = &temporal.ScheduleSpec{Intervals: []temporal.ScheduleIntervalSpec{{Every: every}}}
			return &temporal.ScheduleUpdate{Schedule: &changed}, nil
		},
	}))
}

// A job runs by itself; while Temporal is down the API reads, and what needs Temporal is refused and
// changes nothing; afterwards the runs that were missed are made good by one.
func TestWhatTemporalMissesInAnOutageIsMadeGoodOnce(t *testing.T) {
	i := newIsland(t)
	job := i.filesJob("often", 1000, client.BackupJobDocument{ScheduleCron: "* * * * *"})
	require.WithinRange(t, *job.NextExecutionAt, time.Now(), time.Now().Add(time.Minute))
	needing := i.needTemporal(job)
	i.runOften(job.ID)
	var backup client.Execution
	require.Eventually(t, func() bool {
		for _, run := range i.runs(job) {
			if run.Status == domain.Completed {
				backup = run
			}
		}
		return backup.ID != ""
	}, patience, 100*time.Millisecond)
	i.temporal.Stop(t.Context())
	down := time.Now()
	before := i.runs(job)

	now, err := i.owner.BackupJobs.Get(t.Context(), job.ID)
	require.NoError(t, err)
	require.WithinRange(t, *now.LastExecutionAt, job.CreatedAt, down)
	i.requireRefused(needing, backup)
	require.Len(t, i.runs(job), len(before))

	missed := down.Truncate(often).Add(2 * often)
	time.Sleep(time.Until(missed.Add(time.Second))) // what this is about
	i.startTemporal(portOf(t, i.temporal.Address()))
	up := time.Now()
	madeGood := func() (runs []client.Execution) {
		for due, run := range i.runs(job) {
			if _, known := before[due]; !known && due.Before(up.Truncate(often)) {
				runs = append(runs, run)
			}
		}
		return runs
	}
	require.Eventually(t, func() bool {
		made := madeGood()
		return len(made) > 0 && made[0].Status == domain.Completed
	}, patience, 100*time.Millisecond)
	require.Len(t, madeGood(), 1, "several were missed, and one makes good for them")
	require.NoError(t, i.owner.BackupJobs.Delete(t.Context(), job.ID))
	_, err = i.dialled.ScheduleClient().GetHandle(t.Context(), contract.BackupScheduleID(job.ID)).Describe(t.Context())
	require.Error(t, err, "the schedule goes with its job")
}

// Temporal loses all its data, its namespace too, while a backup runs: an API process that is there notices, the execution is
// closed truthfully, every schedule is made again, and the job can run.
func TestEverythingIsRebuiltWhenTemporalLosesItsData(t *testing.T) {
	i := newIsland(t)
	slow := i.filesJob("slow", 32<<20, client.BackupJobDocument{
		ScheduleCron: "0 4 1 1 *", BackupOptions: domain.BackupOptions{BandwidthLimitMbps: 2},
	})
	other := i.filesJob("other", 1000, client.BackupJobDocument{ScheduleCron: "@monthly", Enabled: new(bool)})
	drill, err := i.owner.DrillJobs().Create(t.Context(), client.DrillJobDocument{Name: "proof", DatasourceID: slow.DatasourceID, ScheduleCron: "@weekly"})
	require.NoError(t, err)
	stop := process.StartReconcilingEvery(t.Context(), time.Second, i.db, i.dialled, quiet())
	defer stop()
	schedules := map[string]bool{ // id -> paused
		contract.BackupScheduleID(slow.ID): false, contract.BackupScheduleID(other.ID): true, contract.DrillScheduleID(drill.ID): false,
		contract.UpkeepScheduleID: false, contract.HealthScheduleID: false, contract.StorageHealthScheduleID: false, contract.ReconcileWorkflowID(slow.StorageLocationID): false,
	}
	there := func() bool {
		for id, paused := range schedules {
			d, err := i.dialled.ScheduleClient().GetHandle(t.Context(), id).Describe(t.Context())
			if err != nil || d.Schedule.State.Paused != paused {
				return false
			}
		}
		return true
	}
	require.Eventually(t, there, patience, 100*time.Millisecond)
	i.requireMendedAtStart(contract.BackupScheduleID(slow.ID), contract.BackupScheduleID(other.ID))
	running, err := i.owner.RunJob(t.Context(), slow.ID, nil)
	require.NoError(t, err)
	i.await(running.ID, domain.Running)

	port := portOf(t, i.temporal.Address())
	i.temporal.Stop(t.Context())
	i.state = "nothing" // another file: in this process the driver would go on with the one that is gone
	i.startTemporal(port)
	lost := i.await(running.ID, domain.Failed)
	require.Contains(t, lost.ErrorMessage, "Temporal lost its data")
	require.Eventually(t, there, patience, 100*time.Millisecond)
	again, err := i.owner.RunJob(t.Context(), other.ID, nil)
	require.NoError(t, err)
	i.await(again.ID, domain.Completed)
}

// requireMendedAtStart edits one schedule in Temporal and deletes another, and has an API process start: that, and not the next run of
// the upkeep, which is minutes away, puts them right.
func (i *island) requireMendedAtStart(edited, deleted string) {
	i.t.Helper()
	ctx, schedules := i.t.Context(), i.dialled.ScheduleClient()
	require.Eventually(i.t, func() bool { // what is asked for during a run is not begun
		d, err := schedules.GetHandle(ctx, contract.UpkeepScheduleID).Describe(ctx)
		return err == nil && d.Info.NumActions > 0 && len(d.Info.RunningWorkflows) == 0
	}, patience, 100*time.Millisecond)
	wanted, err := schedules.GetHandle(ctx, edited).Describe(ctx)
	require.NoError(i.t, err)
	i.runEvery(strings.TrimPrefix(edited, contract.BackupSchedulePrefix), 1000*time.Hour)
	require.NoError(i.t, schedules.GetHandle(ctx, deleted).Delete(ctx))
	require.Eventually(i.t, func() bool { // Temporal's lists know of it only a moment later
		entries, err := schedules.List(ctx, temporal.ScheduleListOptions{})
		isDeleted, isEdited := err == nil, false
		for isDeleted && entries.HasNext() {
			entry, err := entries.Next()
			isDeleted = err == nil && entry.ID != deleted
			isEdited = isEdited || err == nil && entry.ID == edited && len(entry.Spec.Intervals) == 1
		}
		return isDeleted && isEdited
	}, patience, 100*time.Millisecond)
	stop := process.StartReconcilingEvery(ctx, time.Hour, i.db, i.dialled, quiet())
	defer stop()
	require.Eventually(i.t, func() bool {
		_, err := schedules.GetHandle(ctx, deleted).Describe(ctx)
		now, editedErr := schedules.GetHandle(ctx, edited).Describe(ctx)
		return err == nil && editedErr == nil && len(now.Schedule.Spec.Intervals) == 0 && len(now.Schedule.Spec.Calendars) == len(wanted.Schedule.Spec.Calendars)
	}, time.Minute, 100*time.Millisecond) // less than until the next upkeep
}

// The catalogue is away while a backup runs and ends, and while another one comes due: nothing is lost, what was due begins
// when the catalogue is back, once, and a cron is met before, in or after the outage.
func TestABackupOutlivesAnOutageOfThePlatformsPostgres(t *testing.T) {
	i := newIsland(t)
	i.pool = "patient" // the worker of the default pool gives up sooner than the product does
	patient := tuning()
	patient.Attempts = activities.DefaultTuning().Attempts
	stop, err := i.startWorker(worker.Options{Pools: []string{i.pool}, Tuning: patient})
	require.NoError(t, err)
	t.Cleanup(stop)
	minutely := i.filesJob("every minute", 1000, client.BackupJobDocument{ScheduleCron: "* * * * *"})
	job := i.filesJob("slow", 4<<20, client.BackupJobDocument{BackupOptions: domain.BackupOptions{BandwidthLimitMbps: 8}})
	meanwhile := i.filesJob("due in the outage", 1000, client.BackupJobDocument{ScheduleCron: "0 4 1 1 *"})
	running, err := i.owner.RunJob(t.Context(), job.ID, nil)
	require.NoError(t, err)
	i.await(running.ID, domain.Running)
	due := time.Now().Truncate(time.Second).Add(6 * time.Second)
	i.runOnce(meanwhile.ID, due)
	port := i.postgres.Port()
	require.NoError(t, i.postgres.Stop(t.Context()))
	require.True(t, time.Now().Before(due), "the outage began too late to tell anything")
	time.Sleep(time.Until(due.Add(3 * time.Second))) // the dump takes about four: its end falls into the outage too
	up := time.Now()
	i.startPostgres(port)
	ended := i.await(running.ID, domain.Completed)
	require.True(t, ended.Metadata.Verification.OK)
	require.Eventually(t, func() bool { return i.runs(meanwhile)[due.UTC()].Status == domain.Completed }, patience, 100*time.Millisecond)
	made, err := i.owner.ListExecutions(t.Context(), client.ExecutionFilter{Job: meanwhile.ID})
	require.NoError(t, err)
	require.Len(t, made, 1, "though it was tried more than once")
	require.True(t, made[0].StartedAt.After(up))

	first := *minutely.NextExecutionAt
	require.Eventually(t, func() bool { return i.runs(minutely)[first].Status == domain.Completed }, patience, 100*time.Millisecond)
	require.WithinRange(t, *i.runs(minutely)[first].StartedAt, first, first.Add(30*time.Second))
}

func (i *island) await(id string, status domain.ExecutionStatus) client.Execution {
	i.t.Helper()
	var now client.Execution
	require.Eventually(i.t, func() bool {
		var err error
		now, err = i.owner.GetExecution(i.t.Context(), id)
		return err == nil && (now.Status == status || now.Status.Finished())
	}, patience, 100*time.Millisecond)
	require.Equal(i.t, status, now.Status, now.ErrorMessage)
	return now
}

// One execution of a datasource runs at a time: the second waits, says so, and goes on when the first has ended; one that
// waits can be cancelled, and one that is terminated in Temporal gives its place on.
func TestASecondExecutionOfADatasourceWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	job := makeFilesJob(t, shared.owner, domain.DefaultPool, unique(t), 4<<20, client.BackupJobDocument{BackupOptions: domain.BackupOptions{BandwidthLimitMbps: 4}})
	var others []client.BackupJob
	for _, name := range []string{"second", "third"} {
		other, err := shared.owner.BackupJobs.Create(t.Context(), client.BackupJobDocument{
			Name: unique(t) + name, DatasourceID: job.DatasourceID, StorageLocationID: job.StorageLocationID,
		})
		require.NoError(t, err)
		others = append(others, other)
	}
	i := &island{platform: shared, t: t}
	first, err := shared.owner.RunJob(t.Context(), job.ID, nil)
	require.NoError(t, err)
	i.await(first.ID, domain.Running)
	second, err := shared.owner.RunJob(t.Context(), others[0].ID, nil)
	require.NoError(t, err)
	i.awaitQueue(second.ID)
	third, err := shared.owner.RunJob(t.Context(), others[1].ID, nil)
	require.NoError(t, err)
	i.awaitQueue(third.ID)
	require.NoError(t, cancel(t, second.ID))
	i.await(second.ID, domain.Cancelled)
	ended := i.await(first.ID, domain.Completed)
	now := i.await(third.ID, domain.Completed)
	require.Empty(t, now.WaitingFor)
	require.False(t, now.StartedAt.Before(*ended.FinishedAt))
	require.WithinDuration(t, *ended.FinishedAt, *now.StartedAt, 20*time.Second, "it is told, and does not look for itself")
}

func (i *island) awaitQueue(id string) {
	i.t.Helper()
	require.Eventually(i.t, func() bool {
		now, err := i.owner.GetExecution(i.t.Context(), id)
		return err == nil && now.Status == domain.Queued && now.WaitingFor != ""
	}, patience, 50*time.Millisecond)
}

// pauseSchedule pauses a job's schedule as somebody does in the Temporal UI.
func pauseSchedule(t *testing.T, scheduleID, note string) {
	t.Helper()
	handle := shared.dialled.ScheduleClient().GetHandle(t.Context(), scheduleID)
	require.NoError(t, handle.Pause(t.Context(), temporal.SchedulePauseOptions{Note: note}))
}
