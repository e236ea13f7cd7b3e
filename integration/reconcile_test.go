package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/reconcile"
	"github.com/dataguardian/dataguardian/worker"
)

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
	_, err = reconcile.Sweep(t.Context(), shared.db, shared.dialled, time.Minute, quiet())
	require.NoError(t, err)
	ended := wait(t, waiting)
	require.Equal(t, domain.Failed, ended.Status)
	require.Contains(t, ended.ErrorMessage, "terminated in Temporal")

	stop, err := shared.startWorker(worker.Options{Pools: []string{pool}})
	require.NoError(t, err)
	t.Cleanup(stop)
	again := s.backUp(t)
	require.Equal(t, domain.Completed, again.Status, again.ErrorMessage)
	_, err = reconcile.Sweep(t.Context(), shared.db, shared.dialled, time.Minute, quiet())
	require.NoError(t, err)
	ended = wait(t, again)
	require.Equal(t, domain.Completed, ended.Status, "a sweep touches nothing that ended well")
}
