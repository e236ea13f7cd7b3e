package integration

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	temporal "go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/reconcile"
	"github.com/dataguardian/dataguardian/worker"
)

// gate holds whatever reaches a boundary of a pool's worker, until it is opened.
type gate struct {
	reached, opened chan struct{}
	once            sync.Once
}

func (g *gate) open() { g.once.Do(func() { close(g.opened) }) }

// gated starts a worker for a pool whose first arrival at a boundary is held.
func gated(t *testing.T, pool, boundary string) *gate {
	t.Helper()
	g := &gate{reached: make(chan struct{}), opened: make(chan struct{})}
	var first sync.Once
	stop, err := shared.startWorker(worker.Options{Pools: []string{pool}, Boundary: func(name string) {
		if name == boundary {
			first.Do(func() { close(g.reached); <-g.opened })
		}
	}})
	require.NoError(t, err)
	t.Cleanup(stop)
	t.Cleanup(g.open) // before the worker stops
	return g
}

// keeping makes a target with something in it that must still be there afterwards.
func (s *setup) keeping(t *testing.T) client.Datasource {
	t.Helper()
	target := s.syncTarget(t, s.database+"_copy")
	s.createDatabase(t, target.Name)
	s.exec(t, target.Name, "create table keep (n int); insert into keep values (42)")
	return target
}

func (s *setup) requireKept(t *testing.T, target client.Datasource) {
	t.Helper()
	require.Equal(t, "42", s.scalar(t, target.Name, "select n::text from keep"))
}

func getExecution(t *testing.T, id *string) client.Execution {
	t.Helper()
	require.NotNil(t, id)
	e, err := shared.owner.GetExecution(t.Context(), *id)
	require.NoError(t, err)
	return e
}

func TestASyncThatIsCancelledInItsRestoreLeavesTheTarget(t *testing.T) {
	for name, boundary := range map[string]string{"stored": "restore.staged", "direct": "sync.sql_ran"} {
		t.Run(name, func(t *testing.T) {
			pool := "cancelled-" + name
			s := newSetup(t, withRows(500), withPool(pool))
			target := s.keeping(t)
			held := gated(t, pool, boundary)
			job := s.syncJob(t, target, func(d *client.SyncJobDocument) {
				d.SyncOptions.PostRestoreSQL = []string{masking}
				if name == "direct" {
					d.StorageLocationID = ""
				}
			})
			run := startSync(t, job)
			<-held.reached
			_, err := shared.owner.SyncRuns().Cancel(t.Context(), run.ID)
			require.NoError(t, err)
			awaitCancelRequest(t, contract.RestoreWorkflowID(*restoreOf(t, run)))
			held.open()
			ended := waitSync(t, run)
			require.Equal(t, domain.Cancelled, ended.Status, ended.ErrorMessage)
			restore := getExecution(t, ended.RestoreExecutionID)
			require.Equal(t, domain.Cancelled, restore.Status)
			requireNoLeftovers(t, restore)
			s.requireKept(t, target)
			if name == "stored" {
				require.Equal(t, domain.Completed, getExecution(t, ended.BackupExecutionID).Status, "the finished half stays")
			}
			require.Zero(t, s.notifications(t, job.ID, domain.NotifySyncFailed), "nobody is told of what they cancelled")
		})
	}
}

func restoreOf(t *testing.T, run client.JobRun) *string {
	t.Helper()
	now, err := shared.owner.SyncRuns().Get(t.Context(), run.ID)
	require.NoError(t, err)
	require.NotNil(t, now.RestoreExecutionID)
	return now.RestoreExecutionID
}

// awaitCancelRequest returns when a workflow knows that it is to stop.
func awaitCancelRequest(t *testing.T, workflowID string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(historyOf(t, workflowID).Events, func(e *historypb.HistoryEvent) bool {
			return e.EventType == enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
		})
	}, patience, 20*time.Millisecond)
}

// While a restore of the API is on its way into the target, no sync begins to overwrite it, and nothing is dumped for that.
func TestASyncDoesNotMeetARestoreInItsTarget(t *testing.T) {
	const pool = "rivals"
	s := newSetup(t, withRows(100), withPool(pool))
	target := s.keeping(t)
	held := gated(t, pool, "restore.staged")
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	restore, err := shared.owner.Restore(t.Context(), backup.ID, client.RestoreRequest{
		TargetDatasourceID: target.ID, DropExisting: true, ConfirmationPhrase: client.ConfirmRestore(target.Name),
	})
	require.NoError(t, err)
	<-held.reached
	run := waitSync(t, startSync(t, s.syncJob(t, target, nil)))
	require.Equal(t, domain.Failed, run.Status)
	require.Contains(t, run.ErrorMessage, "restore "+restore.ID+" is writing it")
	require.Nil(t, run.BackupExecutionID)
	s.requireKept(t, target)
	held.open()
	requireCompleted(t, wait(t, restore))
}

// The dump of a direct sync dies in the middle: what it had brought is dropped, the next try begins from nothing, and
// the target is the old one until the new one is whole. Only the tables that were asked for are copied.
func TestADirectSyncWhoseDumpDiesNeverShowsAHalf(t *testing.T) {
	s := newSetup(t, withNoise(30), withRows(10))
	s.exec(t, s.database, "create table left_out (n int)")
	target := s.keeping(t)
	job := s.syncJob(t, target, func(d *client.SyncJobDocument) {
		d.StorageLocationID, d.BackupOptions.IncludeTables = "", []string{"noise", "customers"}
	})
	run := startSync(t, job)
	dump := freezeDump(t, s.database, nil)
	s.requireKept(t, target)
	require.NoError(t, syscall.Kill(dump, syscall.SIGKILL))
	ended := waitSync(t, run)
	require.Equal(t, domain.Completed, ended.Status, ended.ErrorMessage)
	restore := getExecution(t, ended.RestoreExecutionID)
	require.Equal(t, int32(2), s.attempts(t, restore, "CopyDirectly"))
	requireNoLeftovers(t, restore)
	require.Equal(t, "customers noise", s.scalar(t, target.Name, "select string_agg(relname, ' ' order by relname) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"))
	require.Equal(t, s.scalar(t, s.database, "select md5(string_agg(md5(body), '' order by n)) from noise"), s.scalar(t, target.Name, "select md5(string_agg(md5(body), '' order by n)) from noise"))
}

// An address that is not the server's own, as that of a proxy, hides nothing; and what masking SQL meets in the rows is not told.
func TestTheSameDatabaseBehindAProxyIsFoundAndRowsAreNotTold(t *testing.T) {
	s := newSetup(t, withRows(20))
	config := s.datasource.ConnectionConfig
	config.Password, config.Port = s.password, forward(t, s.port)
	proxied, err := shared.owner.Datasources.Create(t.Context(), client.DatasourceDocument{Name: s.database + " proxied", Type: domain.Postgres, Pool: s.pool, ConnectionConfig: config})
	require.NoError(t, err)
	s.isRefusedAsTheSame(t, proxied)

	target := s.keeping(t)
	job := s.syncJob(t, target, func(d *client.SyncJobDocument) {
		d.SyncOptions.PostRestoreSQL = []string{"alter table customers alter column name type int using name::int"}
	})
	run := waitSync(t, startSync(t, job))
	require.Equal(t, domain.Failed, run.Status)
	require.Contains(t, run.ErrorMessage, "post_restore_sql[0]")
	require.Contains(t, run.ErrorMessage, "invalid text representation")
	restore := getExecution(t, run.RestoreExecutionID)
	require.NotContains(t, fmt.Sprint(run, restore, plainHistory(t, restore)), "customer 1")
	s.requireKept(t, target)
}

// forward passes connections to a new port of the machine on to another one.
func forward(t *testing.T, port int) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				_ = near.Close()
				continue
			}
			for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
				go func() {
					_, _ = io.Copy(pair[0], pair[1])
					_ = pair[0].Close()
				}()
			}
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

func TestTheDatabaseOfADrillIsDroppedWhoeverEndsIt(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, run client.JobRun){
		"cancelled": func(t *testing.T, run client.JobRun) {
			t.Helper()
			_, err := shared.owner.DrillRuns().Cancel(t.Context(), run.ID)
			require.NoError(t, err)
		},
		"terminated": func(t *testing.T, run client.JobRun) {
			t.Helper()
			require.NoError(t, shared.dialled.TerminateWorkflow(t.Context(), run.Metadata.WorkflowID, "", "by hand"))
			_, err := reconcile.SweepRuns(t.Context(), shared.db, shared.dialled, time.Minute, quiet())
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			pool := "drill-" + name
			s := newSetup(t, withRows(100), withPool(pool))
			held := gated(t, pool, "restore.staged")
			requireCompleted(t, s.backUp(t))
			job := drillJob(t, s.datasource, nil)
			run, err := shared.owner.DrillRuns().Start(t.Context(), job.ID)
			require.NoError(t, err)
			<-held.reached
			end(t, run)
			held.open()
			ended, err := shared.owner.DrillRuns().Wait(t.Context(), run.ID)
			require.NoError(t, err)
			status, told := domain.Cancelled, 0
			if name == "terminated" {
				status, told = domain.Failed, 1
			}
			require.Equal(t, status, ended.Status, ended.ErrorMessage)
			require.Equal(t, told, s.notifications(t, job.ID, domain.NotifyRestoreDrillFailed))
			require.Equal(t, domain.Cancelled, wait(t, getExecution(t, ended.RestoreExecutionID)).Status)
			requireDropped(t, ended)
		})
	}
	t.Run("by a worker that dies", func(t *testing.T) {
		const pool = "drill-killed"
		s := newSetup(t, withRows(100), withPool(pool))
		dying := shared.spawnWorker(t, pool, "drill.checked")
		requireCompleted(t, s.backUp(t))
		run, err := shared.owner.DrillRuns().Start(t.Context(), drillJob(t, s.datasource, nil).ID)
		require.NoError(t, err)
		dying.died(t)
		shared.spawnWorker(t, pool)
		ended, err := shared.owner.DrillRuns().Wait(t.Context(), run.ID)
		require.NoError(t, err)
		require.Equal(t, domain.Completed, ended.Status, ended.ErrorMessage)
		requireDropped(t, ended)
	})
}

// Their schedules start a sync and a drill with nobody there: the runs are made, and people are told of what went wrong and of
// what is well again.
func TestASyncAndADrillRunByTheirSchedules(t *testing.T) {
	s := newSetup(t, withRows(100))
	target := s.keeping(t)
	const cron = "0 0 1 1 *"
	syncJob := s.syncJob(t, target, func(d *client.SyncJobDocument) {
		d.ScheduleCron, d.SyncOptions.PostRestoreSQL = cron, []string{"update nothing set a = 1"}
	})
	drill := drillJob(t, s.datasource, func(d *client.DrillJobDocument) { d.ScheduleCron = cron })
	fire := func(schedule string, runs client.Runs, jobID string, nth int) client.JobRun {
		t.Helper()
		handle := shared.dialled.ScheduleClient().GetHandle(t.Context(), schedule)
		require.NoError(t, handle.Trigger(t.Context(), temporal.ScheduleTriggerOptions{}))
		return awaitRun(t, runs, jobID, nth)
	}
	failed := fire(contract.SyncScheduleID(syncJob.ID), shared.owner.SyncRuns(), syncJob.ID, 1)
	require.Equal(t, domain.Failed, failed.Status)
	require.Equal(t, domain.TriggerSchedule, failed.Metadata.Trigger)
	require.Equal(t, 1, s.notifications(t, syncJob.ID, domain.NotifySyncFailed))
	s.requireKept(t, target)
	_, err := shared.owner.SyncJobs().Update(t.Context(), syncJob.ID, map[string]any{"sync_options": map[string]any{"post_restore_sql": []string{masking}}})
	require.NoError(t, err)
	good := fire(contract.SyncScheduleID(syncJob.ID), shared.owner.SyncRuns(), syncJob.ID, 2)
	require.Equal(t, domain.Completed, good.Status, good.ErrorMessage)
	require.Equal(t, "11", s.scalar(t, target.Name, "select count(*)::text from customers where name = 'masked'"))

	bad := fire(contract.DrillScheduleID(drill.ID), shared.owner.DrillRuns(), drill.ID, 1)
	require.Contains(t, bad.ErrorMessage, "has no completed backup")
	require.Equal(t, 1, s.notifications(t, drill.ID, domain.NotifyRestoreDrillFailed))
	requireCompleted(t, s.backUp(t))
	proved := fire(contract.DrillScheduleID(drill.ID), shared.owner.DrillRuns(), drill.ID, 2)
	require.Equal(t, domain.Completed, proved.Status, proved.ErrorMessage)
	require.Equal(t, domain.TriggerSchedule, proved.Metadata.Trigger)
	var title string
	require.NoError(t, shared.admin(t, "dataguardian").QueryRow(t.Context(),
		"select title from notifications where entity_id = $1 and type = 'restore_drill_success'", drill.ID).Scan(&title))
	require.Contains(t, title, "succeeded again")
}

// awaitRun waits for the end of the nth run of a job.
func awaitRun(t *testing.T, runs client.Runs, jobID string, nth int) client.JobRun {
	t.Helper()
	var latest client.JobRun
	require.Eventually(t, func() bool {
		all, err := runs.List(t.Context(), jobID)
		require.NoError(t, err)
		if len(all) == nth {
			latest = all[0]
		}
		return len(all) == nth
	}, patience, 50*time.Millisecond)
	ended, err := runs.Wait(t.Context(), latest.ID)
	require.NoError(t, err)
	_ = shared.dialled.GetWorkflow(t.Context(), ended.Metadata.WorkflowID, "").Get(t.Context(), nil) // until then the schedule starts no other
	return ended
}
