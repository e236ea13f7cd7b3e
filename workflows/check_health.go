package workflows

import (
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// CheckHealth has every pool's workers check the datasources that they reach, all pools at the same time, and looks for overdue jobs. It
// runs on the system's task queue, so that it also finds out about pools that no worker serves.
func CheckHealth(ctx workflow.Context, _ contract.Nothing) (contract.HealthReport, error) {
	h := newHealth(domain.CheckedDatasource)
	if err := h.checkPools(ctx); err != nil {
		return h.report, err
	}
	var err error
	h.report.Overdue, err = contract.FinishHealth.Execute(brief(ctx, "Record which pools are served, and look for overdue jobs"), h.pools)
	return h.report, err
}

// health is a check of all of a kind, in every pool.
type health struct {
	kind   domain.CheckedKind
	report contract.HealthReport
	pools  contract.FinishHealthInput
}

func newHealth(kind domain.CheckedKind) *health {
	return &health{kind: kind, report: contract.HealthReport{Pools: map[string]contract.PoolReport{}, Failed: map[string]string{}}}
}

func (h *health) checkPools(ctx workflow.Context) error {
	plan, err := contract.PlanHealth.Execute(brief(ctx, "Look for what there is to check"), contract.Nothing{})
	if err != nil {
		return err
	}
	checks := make([]workflow.Future, len(plan.Pools))
	for i, pool := range plan.Pools {
		checks[i] = workflow.ExecuteActivity(poolCheck(ctx, pool, h.kind), contract.CheckPool.Name, contract.CheckPoolInput{Pool: pool, Of: h.kind})
	}
	for i, pool := range plan.Pools {
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
	h.report.Unserved = h.pools.Unserved
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("%d pools checked, %d without a worker", len(h.pools.Served), len(h.pools.Unserved)))
	return nil
}

func nobodyTook(err error) bool {
	var timeout *temporal.TimeoutError
	return errors.As(err, &timeout) && timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START
}
