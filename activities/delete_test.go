package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/activities"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
	"github.com/dataguardian/dataguardian/workflows"
)

// remove deletes a backup with the real workflow.
func (s *site) remove(e db.Execution) {
	s.t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(2 * time.Minute)
	s.register(env)
	env.ExecuteWorkflow(workflows.DeleteBackup, contract.ExecutionInput{ExecutionID: e.ID})
	require.NoError(s.t, env.GetWorkflowError())
	_, err := s.d.GetExecution(context.Background(), e.ID)
	require.ErrorIs(s.t, err, db.ErrNotFound)
}

// Two storage locations that are one place, the second imported before the increment was made: the
// catalogue does not say that the increment is there too.
func TestADeletionSparesABackupThatIsCataloguedOnAnotherNameOfThePlace(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 8*mib)
	full := s.good(domain.Full)
	again := s.location("/mnt/disk")
	s.stores["/mnt/disk"] = s.store
	require.NoError(t, s.d.PutReplica(t.Context(), db.Replica{ExecutionID: full.ID, StorageLocationID: again, ManifestPath: full.Metadata.ManifestPath}))
	s.source.change("a row was changed")
	increment := s.good(domain.Incremental)
	require.Equal(t, full.ID, *increment.ParentExecutionID)
	s.remove(full)
	s.requireGood(increment)
	s.requireNothingElse(increment)
}

// A catalogue that was restored from an older copy of itself does not know the increment.
func TestADeletionSparesABackupThatTheCatalogueLacks(t *testing.T) {
	s := newSite(t)
	s.source.fill(2, 8*mib)
	full := s.good(domain.Full)
	s.source.change("a row was changed")
	increment := s.good(domain.Incremental)
	dbtest.Execute(t, s.url, `DELETE FROM backup_executions WHERE id = $1`, increment.ID)
	s.remove(full)
	s.requireReads(increment, s.source.content())
	s.requireNothingElse(increment)
}

// The scrub finds a damaged object through the full, whose deletion begins before that is recorded.
func TestWhatABackupThatIsDeletedMeanwhileSharesIsLookedAtAgain(t *testing.T) {
	s := newSite(t)
	s.source.fill(3, 8*mib)
	full := s.good(domain.Full)
	s.source.change("a row was changed")
	increment := s.good(domain.Incremental)
	shared := s.requireGood(increment).ObjectKey(0)
	read, before := make(chan struct{}), s.store.Calls(faulty.Get)
	s.store.Inject(faulty.Fault{Op: faulty.Get, Key: shared, Block: read, Damage: true, Flip: 1000})
	go func() {
		defer close(read)
		for s.store.Calls(faulty.Get) == before {
			time.Sleep(time.Millisecond)
		}
		_ = s.d.MarkDeleting(context.Background(), full.ID)
	}()
	run := contract.ScrubStep{RunID: full.ID, StorageLocationID: *full.StorageLocationID, Generation: full.Generation}
	require.NoError(t, s.d.StartScrub(t.Context(), run.RunID, run.StorageLocationID))
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	s.register(env)
	value, err := env.ExecuteActivity(contract.CheckGeneration.Name, run)
	require.NoError(t, err)
	var found contract.CopyCheck
	require.NoError(t, value.Get(&found))
	require.Equal(t, int64(1), found.Damaged)
	increment, err = s.d.GetExecution(t.Context(), increment.ID)
	require.NoError(t, err)
	require.False(t, increment.Metadata.Verification.OK)
}

func TestTheLastStepOfADeletionIsNotTriedForEver(t *testing.T) {
	s := newSite(t)
	s.dies["delete.rows_removed"] = 10
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{
		DeadlockDetectionTimeout: time.Minute, // a busy machine is no deadlock
		Interceptors:             []interceptor.WorkerInterceptor{activities.WithTries(3)},
	})
	s.register(env)
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			StartToCloseTimeout: time.Hour, RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, MaximumAttempts: 10},
		})
		gone := contract.ExecutionRef{ExecutionID: "01900000-0000-7000-8000-000000000000"}
		return workflow.ExecuteActivity(ctx, contract.RemoveExecution.Name, gone).Get(ctx, nil)
	})
	require.ErrorContains(t, env.GetWorkflowError(), "broke off without a word")
	require.Equal(t, 3, s.seen["delete.rows_removed"])
}
