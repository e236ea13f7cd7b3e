package integration

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	temporal "go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/reconcile"
	"github.com/dataguardian/dataguardian/worker"
)

// sweep is what the upkeep does with open executions. It leaves those open of which Temporal, which all tests ask at the same time, does
// not tell within seconds, and comes again.
func sweep(t *testing.T) {
	t.Helper()
	for {
		_, err := reconcile.Sweep(t.Context(), shared.db, shared.dialled, time.Minute, quiet())
		var late *serviceerror.DeadlineExceeded
		if errors.As(err, &late) || errors.Is(err, context.DeadlineExceeded) {
			t.Logf("swept again: %v", err)
			continue
		}
		require.NoError(t, err)
		return
	}
}

func TestAJobRunsAgainAfterItsWorkflowWasTerminated(t *testing.T) {
	const pool = "forgotten"
	s := newSetup(t, withRows(100), withPool(pool)) // no worker serves the pool yet
	waiting := s.start(t)
	_, err := shared.owner.RunJob(t.Context(), s.job.ID, nil)
	require.ErrorContains(t, err, waiting.ID, "the job has an open execution")
	require.NoError(t, shared.dialled.TerminateWorkflow(t.Context(), waiting.Metadata.WorkflowID, "", "by hand"))

	// Made older instead of sweeping young ones: tests beside this one are starting theirs.
	_, err = shared.admin(t, "dataguardian").Exec(t.Context(),
		"update backup_executions set created_at = created_at - interval '2 minutes' where id = $1", waiting.ID)
	require.NoError(t, err)
	sweep(t)
	ended := wait(t, waiting)
	require.Equal(t, domain.Failed, ended.Status)
	require.Contains(t, ended.ErrorMessage, "terminated in Temporal")

	stop, err := shared.startWorker(worker.Options{Pools: []string{pool}})
	require.NoError(t, err)
	t.Cleanup(stop)
	again := s.backUp(t)
	require.Equal(t, domain.Completed, again.Status, again.ErrorMessage)
	sweep(t)
	ended = wait(t, again)
	require.Equal(t, domain.Completed, ended.Status, "a sweep touches nothing that ended well")
}

func TestEveryStorageLocationIsReconciledOnASchedule(t *testing.T) {
	const pool = "scheduled"
	s := newSetup(t, withRows(100), withPool(pool))
	schedules := reconcile.NewSchedules(shared.db, shared.dialled)
	require.NoError(t, schedules.Ensure(t.Context()))
	require.NoError(t, schedules.Ensure(t.Context()), "again is no error")
	require.NoError(t, reconcile.NewSchedules(shared.db, shared.dialled).Ensure(t.Context()), "neither in another process")
	handle := shared.dialled.ScheduleClient().GetHandle(t.Context(), contract.ReconcileWorkflowID(s.storage.ID))
	described, err := handle.Describe(t.Context())
	require.NoError(t, err)
	require.Len(t, described.Info.NextActionTimes, 10)
	require.Equal(t, 24*time.Hour, described.Schedule.Spec.Intervals[0].Every)

	stop, err := shared.startWorker(worker.Options{Pools: []string{pool}})
	require.NoError(t, err)
	t.Cleanup(stop)
	backup := s.backUp(t)
	require.NoError(t, shared.db.MarkDeleting(t.Context(), backup.ID))
	require.NoError(t, handle.Trigger(t.Context(), temporal.ScheduleTriggerOptions{}))
	require.Eventually(t, func() bool {
		_, err := shared.owner.GetExecution(t.Context(), backup.ID)
		return client.Status(err) == http.StatusNotFound
	}, patience, 100*time.Millisecond)
	require.Empty(t, s.objects(t))

	require.NoError(t, shared.owner.BackupJobs.Delete(t.Context(), s.job.ID))
	require.NoError(t, shared.owner.StorageLocations.Delete(t.Context(), s.storage.ID))
	require.NoError(t, schedules.Ensure(t.Context()))
	_, err = handle.Describe(t.Context())
	require.Error(t, err, "the schedule goes with its location")
}
