package activities

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// parallelProbes is how many datasources and storage locations of a pool are checked at the same time. A probe waits for a
// server most of its time.
const parallelProbes = 16

// PlanHealth says which pools there is something to check for.
func (a *Activities) PlanHealth(ctx context.Context, _ contract.Nothing) (contract.HealthPlan, error) {
	if err := a.DB.ForgetHealthStates(ctx); err != nil {
		return contract.HealthPlan{}, toTemporal(ctx, err)
	}
	pools, err := a.DB.PoolsInUse(ctx)
	return contract.HealthPlan{Pools: pools}, toTemporal(ctx, err)
}

// CheckPool checks every enabled datasource and storage location of a pool, several at a time, each for probeLimit at
// most. What was checked and recorded stays so when it ends early.
func (a *Activities) CheckPool(ctx context.Context, in contract.CheckPoolInput) (contract.PoolReport, error) {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	defer startPulse(ctx, upkeepPulse, struct{}{}).stop()
	settings, err := a.DB.HealthSettings(ctx)
	if err != nil {
		return contract.PoolReport{}, toTemporal(ctx, err)
	}
	check := &poolCheck{report: contract.PoolReport{Datasources: map[string]int{}, Storage: map[string]int{}}}
	probes, probing := errgroup.WithContext(ctx)
	probes.SetLimit(parallelProbes)
	err = a.eachOfPool(probing, in.Pool,
		func(d db.Datasource) {
			probes.Go(func() error {
				result, err := a.probeDatasource(probing, d, settings)
				check.count(check.report.Datasources, string(result.Status))
				return unlessGone(err)
			})
		},
		func(l db.StorageLocation) {
			probes.Go(func() error {
				_, status, err := a.probeStorage(probing, l, settings)
				check.count(check.report.Storage, string(status))
				return unlessGone(err)
			})
		})
	if waited := probes.Wait(); waited != nil { // what is under way ends with it
		err = waited
	}
	return check.report, toTemporal(ctx, err)
}

type poolCheck struct {
	mu     sync.Mutex
	report contract.PoolReport
}

func (c *poolCheck) count(in map[string]int, status string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in[status]++
}

// eachOfPool goes through what is enabled in a pool.
func (a *Activities) eachOfPool(ctx context.Context, pool string, datasource func(db.Datasource), location func(db.StorageLocation)) error {
	for page := (db.Page{Limit: db.MaxPageSize}); ; {
		rows, next, err := a.DB.ListDatasources(ctx, page)
		if err != nil {
			return err
		}
		for _, d := range rows {
			if d.Enabled && d.Pool == pool {
				datasource(d)
			}
		}
		if page.Cursor = next; next == "" {
			break
		}
	}
	for page := (db.Page{Limit: db.MaxPageSize}); ; {
		rows, next, err := a.DB.ListStorageLocations(ctx, page)
		if err != nil {
			return err
		}
		for _, l := range rows {
			if l.Enabled && l.Pool == pool {
				location(l)
			}
		}
		if page.Cursor = next; next == "" {
			return nil
		}
	}
}

// FinishHealth records which pools are served and which jobs are overdue, and tells people of transitions.
func (a *Activities) FinishHealth(ctx context.Context, in contract.FinishHealthInput) (int, error) {
	defer startPulse(ctx, upkeepPulse, struct{}{}).stop()
	settings, err := a.DB.HealthSettings(ctx)
	if err != nil {
		return 0, toTemporal(ctx, err)
	}
	for served, pools := range map[bool][]string{true: in.Served, false: in.Unserved} {
		for _, pool := range pools {
			err := a.DB.MoveHealth(ctx, domain.CheckedPool, pool, func(before domain.HealthState) (domain.HealthState, *db.Notification) {
				next, notify := settings.Pool(before, served)
				return next, a.linked(ctx, tellPool(pool, notify))
			})
			if err != nil {
				return 0, toTemporal(ctx, err)
			}
		}
	}
	overdue, err := a.checkOverdue(ctx, settings)
	return overdue, toTemporal(ctx, err)
}

// checkOverdue looks at every job with a schedule; only what changes is written.
func (a *Activities) checkOverdue(ctx context.Context, settings domain.HealthSettings) (overdue int, err error) {
	states, err := a.DB.HealthStates(ctx, domain.CheckedJob)
	if err != nil {
		return 0, err
	}
	err = a.DB.OverdueJobs(ctx, schedule.OverdueAt, func(found db.OverdueJob) error {
		isLate := !found.OverdueAt.IsZero() && time.Now().After(found.OverdueAt)
		if isLate {
			overdue++
		}
		if isLate == (states[found.Job.ID].Announced == domain.ToldOverdue) {
			return nil
		}
		return a.DB.MoveHealth(ctx, domain.CheckedJob, found.Job.ID, func(before domain.HealthState) (domain.HealthState, *db.Notification) {
			next, notify := settings.Overdue(before, isLate)
			return next, a.linked(ctx, tellOverdue(found, notify))
		})
	})
	return overdue, err
}
