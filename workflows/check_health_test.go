package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/workflows"
)

func TestEveryPoolIsCheckedAndOneWithoutWorkersIsToldApart(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	contract.PlanHealth.Register(env, func(context.Context, contract.Nothing) (contract.HealthPlan, error) {
		return contract.HealthPlan{Pools: []string{"edge", "main", "sick"}}, nil
	})
	contract.CheckPool.Register(env, func(context.Context, contract.CheckPoolInput) (contract.PoolReport, error) {
		return contract.PoolReport{Datasources: map[string]int{"ok": 2, "timeout": 1}}, nil
	})
	var finished contract.FinishHealthInput
	contract.FinishHealth.Register(env, func(_ context.Context, in contract.FinishHealthInput) (int, error) {
		finished = in
		return 4, nil
	})
	nobody := temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
	env.OnActivity(contract.CheckPool.Name, mock.Anything, contract.CheckPoolInput{Pool: "edge", Of: domain.CheckedDatasource}).Return(contract.PoolReport{}, nobody)
	env.OnActivity(contract.CheckPool.Name, mock.Anything, contract.CheckPoolInput{Pool: "sick", Of: domain.CheckedDatasource}).Return(contract.PoolReport{}, permanent("Unreachable", "Postgres is away", ""))
	env.OnActivity(contract.CheckPool.Name, mock.Anything, contract.CheckPoolInput{Pool: "main", Of: domain.CheckedDatasource}).After(time.Minute).
		Return(contract.PoolReport{Datasources: map[string]int{"ok": 2, "timeout": 1}}, nil)
	env.ExecuteWorkflow(workflows.CheckHealth, contract.Nothing{})
	require.NoError(t, env.GetWorkflowError())
	var report contract.HealthReport
	require.NoError(t, env.GetWorkflowResult(&report))
	require.Equal(t, contract.FinishHealthInput{Served: []string{"main"}, Unserved: []string{"edge"}}, finished)
	require.Equal(t, []string{"edge"}, report.Unserved)
	require.Equal(t, 4, report.Overdue)
	require.Equal(t, 1, report.Pools["main"].Datasources["timeout"])
	require.Contains(t, report.Failed["sick"], "Postgres is away")
}

// Who tells people of a pool without workers is CheckHealth: FinishHealth is not there to be called.
func TestAStorageCheckWithoutAnIDIsOfEveryPool(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	contract.PlanHealth.Register(env, func(context.Context, contract.Nothing) (contract.HealthPlan, error) {
		return contract.HealthPlan{Pools: []string{"edge", "main"}}, nil
	})
	contract.CheckPool.Register(env, func(_ context.Context, in contract.CheckPoolInput) (contract.PoolReport, error) {
		if in.Of != domain.CheckedStorage {
			return contract.PoolReport{}, permanent("ConfigInvalid", "it is to check storage locations only", "")
		}
		return contract.PoolReport{Storage: map[string]int{"healthy": 3}}, nil
	})
	env.OnActivity(contract.CheckPool.Name, mock.Anything, contract.CheckPoolInput{Pool: "edge", Of: domain.CheckedStorage}).
		Return(contract.PoolReport{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil))
	env.OnActivity(contract.CheckPool.Name, mock.Anything, contract.CheckPoolInput{Pool: "main", Of: domain.CheckedStorage}).
		Return(contract.PoolReport{Storage: map[string]int{"healthy": 3}}, nil)
	env.ExecuteWorkflow(workflows.CheckStorage, contract.CheckInput{})
	require.NoError(t, env.GetWorkflowError())
	var result contract.CheckResult
	require.NoError(t, env.GetWorkflowResult(&result))
	require.Equal(t, map[string]contract.PoolReport{"main": {Storage: map[string]int{"healthy": 3}}}, result.All.Pools)
	require.Equal(t, []string{"edge"}, result.All.Unserved)
}
