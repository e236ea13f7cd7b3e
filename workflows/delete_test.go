package workflows_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/workflows"
)

// deleting is a workflow environment for the deletion of a backup on one storage location, which fails with
// what is given, and the log of the execution.
func deleting(t *testing.T, erase error) (env *testsuite.TestWorkflowEnvironment, logged *[]contract.LogInput) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env, logged = suite.NewTestWorkflowEnvironment(), new([]contract.LogInput)
	contract.MarkDeleting.Register(env, func(context.Context, contract.ExecutionRef) (contract.DeletePlan, error) {
		return contract.DeletePlan{
			Plan: contract.Plan{TimeoutMinutes: 60, Attempts: 3}, Places: []contract.Place{{StorageID: "s1", Name: "disk", Pool: "default"}},
		}, nil
	})
	contract.EraseBackup.Register(env, func(context.Context, contract.EraseInput) (contract.DeleteResult, error) {
		return contract.DeleteResult{Objects: 3}, erase
	})
	contract.RemoveExecution.Register(env, func(context.Context, contract.ExecutionRef) (contract.Nothing, error) {
		return contract.Nothing{}, nil
	})
	contract.LogExecution.Register(env, func(_ context.Context, in contract.LogInput) (contract.Nothing, error) {
		*logged = append(*logged, in)
		return contract.Nothing{}, nil
	})
	return env, logged
}

func TestADeletionThatCanNotReachAStorageLocationSaysSo(t *testing.T) {
	env, logged := deleting(t, permanent("AuthFailed", `storage location "disk": permission denied`, "Give the worker the right to delete."))
	env.ExecuteWorkflow(workflows.DeleteBackup, input())
	require.ErrorContains(t, env.GetWorkflowError(), "permission denied")
	require.Equal(t, []contract.LogInput{{
		ExecutionID: "e1", Level: "error",
		Message: `the deletion did not get to its end, and will be tried again: storage location "disk": permission denied. Give the worker the right to delete.`,
	}}, *logged)
}

func TestADeletionThatSucceedsLogsNothing(t *testing.T) {
	env, logged := deleting(t, nil)
	env.ExecuteWorkflow(workflows.DeleteBackup, input())
	require.NoError(t, env.GetWorkflowError())
	require.Empty(t, *logged)
}

func TestAReconciliationSaysThatMoreDeletionsAreLeft(t *testing.T) {
	env, _ := deleting(t, nil)
	contract.DeleteBackup.Register(env, workflows.DeleteBackup)
	contract.PlanReconcile.Register(env, func(context.Context, contract.ReconcileInput) (contract.ReconcilePlan, error) {
		return contract.ReconcilePlan{Plan: contract.Plan{TimeoutMinutes: 60, Attempts: 3}, Deletions: []string{"e1"}, More: true}, nil
	})
	contract.SweepStorage.Register(env, func(context.Context, contract.ReconcileInput) (contract.ReconcileResult, error) {
		return contract.ReconcileResult{}, nil
	})
	env.ExecuteWorkflow(workflows.Reconcile, contract.ReconcileInput{StorageID: "s1", Labels: contract.Labels{Storage: "disk"}})
	require.NoError(t, env.GetWorkflowError())
	var result contract.ReconcileResult
	require.NoError(t, env.GetWorkflowResult(&result))
	require.Equal(t, int64(1), result.Deletions)
	require.True(t, result.More)
}
