package workflows

import (
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
)

const (
	// noWorkerAfter is how long a pool's check may wait for a worker before the pool counts as served by nobody.
	noWorkerAfter = time.Minute
	// poolCheckLimit bounds the check of one pool: some hundred servers that all answer nothing.
	poolCheckLimit = 10 * time.Minute
)

// CheckHealth has every pool's workers check what they reach, all pools at the same time, and looks for overdue jobs. It
// runs on the system's task queue, so that it also finds out about pools that no worker serves.
func CheckHealth(ctx workflow.Context, _ contract.Nothing) (contract.HealthReport, error) {
	h := health{report: contract.HealthReport{Pools: map[string]contract.PoolReport{}, Failed: map[string]string{}}}
	plan, err := contract.PlanHealth.Execute(h.brief(ctx, "Look for what there is to check"), contract.Nothing{})
	if err != nil {
		return h.report, err
	}
	h.checkPools(ctx, plan.Pools)
	h.report.Unserved = h.pools.Unserved
	h.report.Overdue, err = contract.FinishHealth.Execute(h.brief(ctx, "Record which pools are served, and look for overdue jobs"), h.pools)
	return h.report, err
}

type health struct {
	report contract.HealthReport
	pools  contract.FinishHealthInput
}

func (h *health) checkPools(ctx workflow.Context, pools []string) {
	checks := make([]workflow.Future, len(pools))
	for i, pool := range pools {
		checks[i] = workflow.ExecuteActivity(h.pool(ctx, pool), contract.CheckPool.Name, contract.CheckPoolInput{Pool: pool})
	}
	for i, pool := range pools {
		var found contract.PoolReport
		err := checks[i].Get(ctx, &found)
		switch {
		case err == nil:
			h.report.Pools[pool] = found
			h.pools.Served = append(h.pools.Served, pool)
		case nobodyTook(err):
			h.pools.Unserved = append(h.pools.Unserved, pool)
		default: // a worker took it, and the datasources that it came to are recorded
			workflow.GetLogger(ctx).Warn("the health check of a pool did not get to its end", "pool", pool, "error", err)
			h.report.Failed[pool] = err.Error()
		}
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("%d pools checked, %d without a worker", len(h.pools.Served), len(h.pools.Unserved)))
}

func nobodyTook(err error) bool {
	var timeout *temporal.TimeoutError
	return errors.As(err, &timeout) && timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START
}

// pool is for the check of one pool by one of its workers. The next run is soon: nothing is tried again.
func (h *health) pool(ctx workflow.Context, pool string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              contract.ShortTaskQueue(contract.TaskQueue(pool)),
		Summary:                "Check what pool " + pool + " reaches",
		ScheduleToStartTimeout: waits().NoWorker,
		StartToCloseTimeout:    poolCheckLimit,
		HeartbeatTimeout:       waits().Silence,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	})
}

func (h *health) brief(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              shortQueue(ctx),
		Summary:                summary,
		StartToCloseTimeout:    briefPatience,
		ScheduleToCloseTimeout: shortPatience,
		HeartbeatTimeout:       waits().Silence,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	})
}
