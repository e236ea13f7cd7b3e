package integration

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	temporal "go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
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

func scheduleOf(t *testing.T, jobID string) (*temporal.ScheduleDescription, error) {
	t.Helper()
	return shared.dialled.ScheduleClient().GetHandle(t.Context(), contract.BackupScheduleID(jobID)).Describe(t.Context())
}

func TestTheUpkeepMendsWhatWasDoneToSchedulesInTemporal(t *testing.T) {
	t.Parallel()
	job := makeFilesJob(t, shared.owner, domain.DefaultPool, unique(t), 1000, client.BackupJobDocument{ScheduleCron: "0 4 1 1 *"})
	schedules := shared.dialled.ScheduleClient()
	handle := schedules.GetHandle(t.Context(), contract.BackupScheduleID(job.ID))

	require.NoError(t, handle.Delete(t.Context()))
	upkeepUntil(t, func() bool { _, err := scheduleOf(t, job.ID); return err == nil }, "a missing one is made")

	require.NoError(t, handle.Update(t.Context(), temporal.ScheduleUpdateOptions{
		DoUpdate: func(in temporal.ScheduleUpdateInput) (*temporal.ScheduleUpdate, error) {
			changed := in.Description.Schedule
			changed.Spec = &temporal.ScheduleSpec{Intervals: []temporal.ScheduleIntervalSpec{{Every: 1000 * time.Hour}}}
			return &temporal.ScheduleUpdate{Schedule: &changed}, nil
		},
	}))
	upkeepUntil(t, func() bool {
		d, err := scheduleOf(t, job.ID)
		return err == nil && len(d.Schedule.Spec.Intervals) == 0 && len(d.Schedule.Spec.Calendars) == 1
	}, "a different one is corrected")

	forgotten := uuid.NewString()
	_, err := schedules.Create(t.Context(), temporal.ScheduleOptions{
		ID: contract.BackupScheduleID(forgotten), Spec: temporal.ScheduleSpec{CronExpressions: []string{"0 4 1 1 *"}},
		Action: &temporal.ScheduleWorkflowAction{ID: "x", Workflow: contract.Backup.Name, TaskQueue: contract.TaskQueue("nobody")},
	})
	require.NoError(t, err)
	upkeepUntil(t, func() bool { _, err := scheduleOf(t, forgotten); return err != nil }, "one of a job that is gone is removed")

	pauseSchedule(t, job.ID, "the disk is being moved")
	upkeepUntil(t, func() bool {
		now, err := shared.owner.BackupJobs.Get(t.Context(), job.ID)
		return err == nil && now.SchedulePause == "the disk is being moved" && now.NextExecutionAt == nil
	}, "somebody's pause is noted")
	d, err := scheduleOf(t, job.ID)
	require.NoError(t, err)
	require.True(t, d.Schedule.State.Paused, "and stays")
	for _, enabled := range []bool{false, true} {
		_, err := shared.owner.BackupJobs.Update(t.Context(), job.ID, map[string]any{"enabled": enabled})
		require.NoError(t, err)
	}
	now, err := shared.owner.BackupJobs.Get(t.Context(), job.ID)
	require.NoError(t, err)
	require.NotNil(t, now.NextExecutionAt)
	require.Empty(t, now.SchedulePause)
	require.NoError(t, shared.owner.BackupJobs.Delete(t.Context(), job.ID))
}

// upkeepUntil runs the upkeep until it has had its effect: Temporal's lists know of a change only a moment later.
func upkeepUntil(t *testing.T, done func() bool, what string) {
	t.Helper()
	require.Eventually(t, func() bool { upkeep(t); return done() }, time.Minute, 200*time.Millisecond, what)
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
	session, check := uuid.NewString(), uuid.NewString()
	_, err = admin.Exec(t.Context(), `insert into auth_sessions (id, user_id, token_hash, ip, user_agent, expires_at)
		select $1, id, sha256($2::text::bytea), '', '', now() - interval '1 hour' from users limit 1`, session, session)
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), `insert into health_checks (id, datasource_id, status, checked_at) values ($1, $2, 'ok', now() - interval '400 days')`,
		check, job.DatasourceID)
	require.NoError(t, err)
	upkeep(t)
	ended := i.await(running.ID, domain.Failed)
	require.Contains(t, ended.ErrorMessage, "terminated in Temporal")
	var left int
	require.NoError(t, admin.QueryRow(t.Context(), `select (select count(*) from auth_sessions where id = $1) + (select count(*) from health_checks where id = $2)`,
		session, check).Scan(&left))
	require.Zero(t, left)
}
