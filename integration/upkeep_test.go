package integration

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	temporal "go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/reconcile"
)

func portOf(t *testing.T, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	require.NoError(t, err)
	port, err := strconv.Atoi(text)
	require.NoError(t, err)
	return port
}

func cancel(t *testing.T, id string) error {
	t.Helper()
	_, err := shared.owner.Cancel(t.Context(), id)
	return err
}

// upkeep runs the upkeep now and returns what it did.
func upkeep(t *testing.T) contract.UpkeepReport {
	t.Helper()
	report, err := contract.Upkeep.Run(t.Context(), shared.dialled, temporal.StartWorkflowOptions{
		ID: "upkeep-" + uuid.NewString(), TaskQueue: contract.SystemTaskQueue,
	}, contract.Nothing{})
	require.NoError(t, err)
	return report
}

// scheduledThing is a job of any kind, as far as its schedule is concerned.
type scheduledThing struct {
	id, schedule string
	enable       func(bool) error
	shown        func() (pause string, next *time.Time, err error)
	remove       func() error
}

// scheduledThings makes a job of each kind, all with the same cron.
func scheduledThings(t *testing.T) map[string]scheduledThing {
	t.Helper()
	const cron = "0 4 1 1 *"
	ctx, owner := t.Context(), shared.owner
	backup := makeFilesJob(t, owner, domain.DefaultPool, unique(t), 1000, client.BackupJobDocument{ScheduleCron: cron})
	drill, err := owner.DrillJobs().Create(ctx, client.DrillJobDocument{Name: unique(t), DatasourceID: backup.DatasourceID, ScheduleCron: cron})
	require.NoError(t, err)
	var sides []string
	for _, name := range []string{"source", "target"} {
		d, err := owner.Datasources.Create(ctx, client.DatasourceDocument{
			Name: unique(t) + name, Type: domain.Postgres,
			ConnectionConfig: domain.ConnectionConfig{Host: "127.0.0.1", Port: 1, Database: name, Username: "nobody", Password: "x"},
		})
		require.NoError(t, err)
		sides = append(sides, d.ID)
	}
	sync, err := owner.SyncJobs().Create(ctx, client.SyncJobDocument{
		Name: unique(t), SourceDatasourceID: sides[0], TargetDatasourceID: sides[1], ScheduleCron: cron, DropExisting: true,
		ConfirmationPhrase: client.ConfirmRestore(unique(t) + "target"),
	})
	require.NoError(t, err)
	enabled := func(on bool) map[string]any { return map[string]any{"enabled": on} }
	return map[string]scheduledThing{
		"backup": {
			backup.ID, contract.BackupScheduleID(backup.ID),
			func(on bool) error { _, err := owner.BackupJobs.Update(ctx, backup.ID, enabled(on)); return err },
			func() (string, *time.Time, error) {
				j, err := owner.BackupJobs.Get(ctx, backup.ID)
				return j.SchedulePause, j.NextExecutionAt, err
			},
			func() error { return owner.BackupJobs.Delete(ctx, backup.ID) },
		},
		"sync": {
			sync.ID, contract.SyncScheduleID(sync.ID),
			func(on bool) error { _, err := owner.SyncJobs().Update(ctx, sync.ID, enabled(on)); return err },
			func() (string, *time.Time, error) {
				j, err := owner.SyncJobs().Get(ctx, sync.ID)
				return j.SchedulePause, j.NextExecutionAt, err
			},
			func() error { return owner.SyncJobs().Delete(ctx, sync.ID) },
		},
		"drill": {
			drill.ID, contract.DrillScheduleID(drill.ID),
			func(on bool) error { _, err := owner.DrillJobs().Update(ctx, drill.ID, enabled(on)); return err },
			func() (string, *time.Time, error) {
				j, err := owner.DrillJobs().Get(ctx, drill.ID)
				return j.SchedulePause, j.NextExecutionAt, err
			},
			func() error { return owner.DrillJobs().Delete(ctx, drill.ID) },
		},
	}
}

// every reports whether something is so of all.
func every(things map[string]scheduledThing, is func(scheduledThing) bool) bool {
	for _, one := range things {
		if !is(one) {
			return false
		}
	}
	return true
}

func TestTheUpkeepMendsWhatWasDoneToSchedulesInTemporal(t *testing.T) {
	t.Parallel()
	things := scheduledThings(t)
	schedules := shared.dialled.ScheduleClient()
	describe := func(id string) (*temporal.ScheduleDescription, error) {
		return schedules.GetHandle(t.Context(), id).Describe(t.Context())
	}

	for kind, one := range things {
		_, err := describe(one.schedule)
		require.NoError(t, err, "the schedule of a %s job is made with it", kind)
		_, next, err := one.shown()
		require.NoError(t, err)
		require.Equal(t, "01-01 04:00", next.UTC().Format("01-02 15:04"), kind)
		require.NoError(t, schedules.GetHandle(t.Context(), one.schedule).Delete(t.Context()))
	}
	upkeepUntil(t, func() bool {
		return every(things, func(one scheduledThing) bool { _, err := describe(one.schedule); return err == nil })
	}, "a missing one is made")

	for _, one := range things {
		require.NoError(t, schedules.GetHandle(t.Context(), one.schedule).Update(t.Context(), temporal.ScheduleUpdateOptions{
			DoUpdate: func(in temporal.ScheduleUpdateInput) (*temporal.ScheduleUpdate, error) {
				changed := in.Description.Schedule
				changed.Spec = &temporal.ScheduleSpec{Intervals: []temporal.ScheduleIntervalSpec{{Every: 1000 * time.Hour}}}
				return &temporal.ScheduleUpdate{Schedule: &changed}, nil
			},
		}))
	}
	forgotten := uuid.NewString()
	_, err := schedules.Create(t.Context(), temporal.ScheduleOptions{
		ID: contract.BackupScheduleID(forgotten), Spec: temporal.ScheduleSpec{CronExpressions: []string{"0 4 1 1 *"}},
		Action: &temporal.ScheduleWorkflowAction{ID: "x", Workflow: contract.Backup.Name, TaskQueue: contract.TaskQueue("nobody")},
	})
	require.NoError(t, err)
	upkeepUntil(t, func() bool {
		_, err := describe(contract.BackupScheduleID(forgotten))
		return err != nil && every(things, func(one scheduledThing) bool {
			d, err := describe(one.schedule)
			return err == nil && len(d.Schedule.Spec.Intervals) == 0 && len(d.Schedule.Spec.Calendars) == 1
		})
	}, "a different one is corrected, and one of a job that is gone is removed")

	for _, one := range things {
		pauseSchedule(t, one.schedule, "the disk is being moved")
	}
	upkeepUntil(t, func() bool {
		return every(things, func(one scheduledThing) bool {
			pause, next, err := one.shown()
			return err == nil && pause == "the disk is being moved" && next == nil
		})
	}, "somebody's pause is noted")
	for kind, one := range things {
		d, err := describe(one.schedule)
		require.NoError(t, err)
		require.True(t, d.Schedule.State.Paused, "and stays")
		for _, enabled := range []bool{false, true} {
			require.NoError(t, one.enable(enabled))
			d, err := describe(one.schedule)
			require.NoError(t, err)
			require.Equal(t, !enabled, d.Schedule.State.Paused, kind)
		}
		pause, next, err := one.shown()
		require.NoError(t, err)
		require.Empty(t, pause)
		require.NotNil(t, next)
	}
	for _, kind := range []string{"drill", "sync", "backup"} {
		require.NoError(t, things[kind].remove())
		_, err := describe(things[kind].schedule)
		require.Error(t, err, "the schedule of a %s job goes with it", kind)
	}
}

// upkeepUntil runs the upkeep until it has had its effect: Temporal's lists know of a change only a moment later.
func upkeepUntil(t *testing.T, done func() bool, what string) {
	t.Helper()
	require.Eventually(t, func() bool { upkeep(t); return done() }, patience, 200*time.Millisecond, what)
}

func TestTheUpkeepClosesWhatHasNoWorkflowAndRemovesWhatIsOld(t *testing.T) {
	t.Parallel()
	job := makeFilesJob(t, shared.owner, domain.DefaultPool, unique(t), 4<<20, client.BackupJobDocument{BackupOptions: domain.BackupOptions{BandwidthLimitMbps: 2}})
	i := &island{platform: shared, t: t}
	running, err := shared.owner.RunJob(t.Context(), job.ID, nil)
	require.NoError(t, err)
	i.await(running.ID, domain.Running)
	require.NoError(t, shared.dialled.TerminateWorkflow(t.Context(), running.Metadata.WorkflowID, "", "by hand"))
	admin := shared.admin(t, "dataguardian")
	session, check, token := uuid.NewString(), uuid.NewString(), uuid.NewString()
	_, err = admin.Exec(t.Context(), `insert into auth_sessions (id, user_id, token_hash, ip, user_agent, expires_at)
		select $1, id, sha256($2::text::bytea), '', '', now() - interval '1 hour' from users limit 1`, session, session)
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), `insert into api_tokens (id, user_id, name, token_hash, permissions, expires_at)
		select $1, id, $2, sha256($2::text::bytea), '{datasources.read}', now() - interval '31 days' from users limit 1`, token, token)
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), `insert into health_checks (id, datasource_id, status, checked_at) values ($1, $2, 'ok', now() - interval '400 days')`,
		check, job.DatasourceID)
	require.NoError(t, err)
	upkeep(t)
	ended := i.await(running.ID, domain.Failed)
	require.Contains(t, ended.ErrorMessage, "terminated in Temporal")
	var left int
	require.NoError(t, admin.QueryRow(t.Context(), `select (select count(*) from auth_sessions where id = $1) + (select count(*) from health_checks where id = $2)
		+ (select count(*) from api_tokens where id = $3)`, session, check, token).Scan(&left))
	require.Zero(t, left)
}

// endsQueue begins the name of a task queue with workflows that are a test's own, and no code of the product replays.
const endsQueue = "ends-"

// endsOf makes workflows on a task queue of its own that end as Temporal can end them, without recording it; the key is what the
// execution then says. "" is one that goes on.
func endsOf(t *testing.T) map[string]string {
	t.Helper()
	queue := endsQueue + unique(t)
	w := sdk.New(shared.dialled, queue, sdk.Options{DisableRegistrationAliasing: true})
	w.RegisterWorkflowWithOptions(func(workflow.Context) error { return nil }, workflow.RegisterOptions{Name: "ends"})
	w.RegisterWorkflowWithOptions(func(workflow.Context) error { return errors.New("broken") }, workflow.RegisterOptions{Name: "fails"})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) error { return workflow.Await(ctx, func() bool { return false }) }, workflow.RegisterOptions{Name: "waits"})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	start := func(name string, limit time.Duration) temporal.WorkflowRun {
		run, err := shared.dialled.ExecuteWorkflow(t.Context(), temporal.StartWorkflowOptions{
			ID: "ends-" + uuid.NewString(), TaskQueue: queue, WorkflowExecutionTimeout: limit,
		}, name)
		require.NoError(t, err)
		return run
	}
	ends := map[string]string{"does not exist any more": "ends-" + uuid.NewString(), "": start("waits", 0).GetID()}
	for says, run := range map[string]temporal.WorkflowRun{
		"did not record a result": start("ends", 0), "did not record why": start("fails", 0), "timed out": start("waits", time.Second),
		"was cancelled": start("waits", 0), "was terminated": start("waits", 0),
	} {
		switch says {
		case "was cancelled":
			require.NoError(t, shared.dialled.CancelWorkflow(t.Context(), run.GetID(), ""))
		case "was terminated":
			require.NoError(t, shared.dialled.TerminateWorkflow(t.Context(), run.GetID(), "", "by hand"))
		}
		_ = run.Get(t.Context(), nil) // however it ends
		ends[says] = run.GetID()
	}
	return ends
}

// Rows that run, of workflows that have ended in every way that there is, and of one that goes on; executions, and runs of syncs
// and drills.
func TestTheUpkeepClosesWhatIsRunningAsItsWorkflowEnded(t *testing.T) {
	t.Parallel()
	things := scheduledThings(t)
	ends := endsOf(t)
	executions, runs := map[string]string{}, map[string]string{}
	kinds := map[string]db.RunKind{}
	for says, workflowID := range ends {
		row, err := shared.db.CreateExecution(t.Context(), db.Execution{Metadata: domain.ExecutionMetadata{
			Operation: domain.OperationBackup, Trigger: domain.TriggerManual, WorkflowID: workflowID,
		}})
		require.NoError(t, err)
		_, err = shared.db.BeginExecution(t.Context(), row.ID, workflowID, "run")
		require.NoError(t, err)
		executions[says] = row.ID
	}
	for says, kind := range map[string]db.RunKind{"was terminated": db.RunSync, "does not exist any more": db.RunDrill} {
		job := things[string(kind)].id
		run, err := shared.db.CreateRun(t.Context(), kind, db.Run{JobID: &job})
		require.NoError(t, err)
		_, err = shared.db.BeginRun(t.Context(), kind, run.ID, ends[says], "run", "")
		require.NoError(t, err)
		runs[says], kinds[says] = run.ID, kind
	}
	upkeep(t)
	for says, id := range executions {
		row, err := shared.db.GetExecution(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, says != "", row.Status.Finished(), says)
		require.Contains(t, row.ErrorMessage, says)
		require.NoError(t, shared.db.FinishExecution(t.Context(), id, db.Finish{Status: domain.Cancelled}))
	}
	for says, id := range runs {
		row, err := shared.db.GetRun(t.Context(), kinds[says], id)
		require.NoError(t, err)
		require.Equal(t, domain.Failed, row.Status)
		require.Contains(t, row.ErrorMessage, says)
	}
}

// The worker and the workflow of a deletion are lost in the middle, and the storage location's own look at it is far away.
func TestTheUpkeepFinishesADeletionThatWasInterrupted(t *testing.T) {
	t.Parallel()
	job := makeFilesJob(t, shared.owner, domain.DefaultPool, unique(t), 1000, client.BackupJobDocument{})
	i := &island{platform: shared, t: t}
	backup, err := shared.owner.RunJob(t.Context(), job.ID, nil)
	require.NoError(t, err)
	i.await(backup.ID, domain.Completed)
	require.NoError(t, shared.db.MarkDeleting(t.Context(), backup.ID))
	upkeep(t)
	_, err = shared.db.GetExecution(t.Context(), backup.ID)
	require.NoError(t, err, "a deletion is left to its own workflow for an hour")
	_, err = shared.admin(t, "dataguardian").Exec(t.Context(), `update backup_executions set deleting_at = now() - interval '2 hours' where id = $1`, backup.ID)
	require.NoError(t, err)
	upkeep(t)
	require.Eventually(t, func() bool {
		_, err := shared.owner.GetExecution(t.Context(), backup.ID)
		return client.Status(err) == http.StatusNotFound
	}, patience, 50*time.Millisecond)
}

// Somebody edits the platform's own schedules, or pauses them.
func TestThePlatformsOwnSchedulesAreMendedAndAPauseIsTold(t *testing.T) {
	t.Parallel()
	schedules := shared.dialled.ScheduleClient()
	told := func(kind domain.NotificationType) int {
		return len(toldOf(t, `type = $1 and metadata ->> 'schedule' = $2`, kind, contract.UpkeepScheduleID))
	}
	ensure := func() {
		t.Helper()
		_, err := reconcile.EnsureUpkeep(t.Context(), shared.db, shared.dialled)
		require.NoError(t, err)
		require.NoError(t, reconcile.EnsureHealth(t.Context(), shared.db, shared.dialled))
	}
	// Only here on the shared platform: the health checks of all tests would run too.
	for _, id := range []string{contract.HealthScheduleID, contract.StorageHealthScheduleID} {
		_, err := schedules.Create(t.Context(), temporal.ScheduleOptions{
			ID: id, Paused: true, Note: "made by the test", Spec: temporal.ScheduleSpec{CronExpressions: []string{"@yearly"}},
			Action: &temporal.ScheduleWorkflowAction{ID: "x", Workflow: "nothing", TaskQueue: "nobody"},
		})
		require.NoError(t, err)
	}
	ensure()
	handle := schedules.GetHandle(t.Context(), contract.UpkeepScheduleID)
	require.NoError(t, handle.Update(t.Context(), temporal.ScheduleUpdateOptions{
		DoUpdate: func(in temporal.ScheduleUpdateInput) (*temporal.ScheduleUpdate, error) {
			changed := in.Description.Schedule
			changed.Spec = &temporal.ScheduleSpec{Intervals: []temporal.ScheduleIntervalSpec{{Every: 1000 * time.Hour}}}
			changed.Action.(*temporal.ScheduleWorkflowAction).TaskQueue = "nobody"
			return &temporal.ScheduleUpdate{Schedule: &changed}, nil
		},
	}))
	is := func(so func(temporal.Schedule) bool) {
		t.Helper()
		require.Eventually(t, func() bool {
			d, err := handle.Describe(t.Context())
			return err == nil && so(d.Schedule)
		}, patience, 50*time.Millisecond)
	}
	// Temporal takes both in by and by, and when it takes them in at once, the pause first: the update would undo it.
	is(func(s temporal.Schedule) bool { return s.Spec.Intervals[0].Every == 1000*time.Hour })
	require.NoError(t, handle.Pause(t.Context(), temporal.SchedulePauseOptions{Note: "too much load"}))
	is(func(s temporal.Schedule) bool { return s.State.Paused })
	ensure()
	ensure()
	d, err := handle.Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, 5*time.Minute, d.Schedule.Spec.Intervals[0].Every)
	require.Equal(t, contract.SystemTaskQueue, d.Schedule.Action.(*temporal.ScheduleWorkflowAction).TaskQueue)
	require.True(t, d.Schedule.State.Paused, "somebody's pause stays")
	require.Equal(t, 1, told(domain.NotifyHealthDegraded), "and is told once")
	health, err := shared.owner.Health(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []string{contract.HealthScheduleID, contract.StorageHealthScheduleID, contract.UpkeepScheduleID}, health.PausedSchedules)
	for id, workflow := range map[string]string{contract.HealthScheduleID: contract.CheckHealth.Name, contract.StorageHealthScheduleID: contract.CheckStorage.Name} {
		d, err = schedules.GetHandle(t.Context(), id).Describe(t.Context())
		require.NoError(t, err)
		require.Equal(t, 300*time.Second, d.Schedule.Spec.Intervals[0].Every)
		require.Equal(t, workflow, d.Schedule.Action.(*temporal.ScheduleWorkflowAction).Workflow)
	}

	require.NoError(t, handle.Unpause(t.Context(), temporal.ScheduleUnpauseOptions{}))
	ensure()
	require.Equal(t, 1, told(domain.NotifyConnectionRestored))
	for _, id := range []string{contract.UpkeepScheduleID, contract.HealthScheduleID, contract.StorageHealthScheduleID} {
		require.NoError(t, schedules.GetHandle(t.Context(), id).Delete(t.Context()))
	}
}
