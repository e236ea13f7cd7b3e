package activities

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
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

// CheckPool checks every enabled datasource or storage location of a pool, or both, several at a time, each for the probe limit at
// most: what was checked longest ago first, so that what one run has no time for is first in the next. What was checked and
// recorded stays so when it ends early.
func (a *Activities) CheckPool(ctx context.Context, in contract.CheckPoolInput) (contract.PoolReport, error) {
	enough := activity.GetInfo(ctx).Deadline.Add(-2 * a.probeLimit()) // for the probes that are under way, and the answer
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	defer startPulse(ctx, upkeepPulse, struct{}{}).stop()
	settings, err := a.DB.HealthSettings(ctx)
	if err != nil {
		return contract.PoolReport{}, toTemporal(ctx, err)
	}
	check := &poolCheck{report: contract.PoolReport{Datasources: map[string]int{}, Storage: map[string]int{}}}
	due, err := a.dueOfPool(ctx, in, settings, check)
	if err != nil {
		return contract.PoolReport{}, toTemporal(ctx, err)
	}
	check.report.Left, err = probeUntil(ctx, due, enough)
	if check.report.Left > 0 {
		a.Logger.Warn("a health check had no time for all of a pool; the next one begins with the rest", "pool", in.Pool, "left", check.report.Left)
	}
	return check.report, toTemporal(ctx, err)
}

// probeUntil probes one after the other, several at a time, and begins none after enough; left is how many those are.
func probeUntil(ctx context.Context, due []dueCheck, enough time.Time) (left int, err error) {
	probes, probing := errgroup.WithContext(ctx)
	probes.SetLimit(parallelProbes)
	for i, one := range due {
		if probing.Err() != nil || time.Now().After(enough) {
			left = len(due) - i
			break
		}
		probes.Go(func() error { return unlessGone(one.probe(probing)) })
	}
	return left, probes.Wait()
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

// dueCheck is something of a pool that is to be probed.
type dueCheck struct {
	id    string
	last  time.Time // when it was checked last, zero for never
	probe func(context.Context) error
}

// dueOfPool lists what is to be checked of a pool, what was checked longest ago first.
func (a *Activities) dueOfPool(ctx context.Context, in contract.CheckPoolInput, settings domain.HealthSettings, check *poolCheck) (due []dueCheck, err error) {
	if in.Of != domain.CheckedStorage {
		if due, err = a.dueDatasources(ctx, in.Pool, settings, check); err != nil {
			return nil, err
		}
	}
	if in.Of != domain.CheckedDatasource {
		locations, err := a.dueStorage(ctx, in.Pool, settings, check)
		if err != nil {
			return nil, err
		}
		due = append(due, locations...)
	}
	slices.SortStableFunc(due, func(x, y dueCheck) int { return x.last.Compare(y.last) })
	return due, nil
}

func (a *Activities) dueDatasources(ctx context.Context, pool string, settings domain.HealthSettings, check *poolCheck) (due []dueCheck, err error) {
	last, err := a.DB.HealthStates(ctx, domain.CheckedDatasource)
	if err != nil {
		return nil, err
	}
	err = eachPage(func(page db.Page) (string, error) {
		rows, next, err := a.DB.ListDatasources(ctx, page)
		for _, d := range rows {
			if d.Enabled && d.Pool == pool {
				due = append(due, dueCheck{d.ID, last[d.ID].CheckedAt, func(ctx context.Context) error {
					result, err := a.probeDatasource(ctx, d, settings)
					check.count(check.report.Datasources, string(result.Status))
					return err
				}})
			}
		}
		return next, err
	})
	return due, err
}

func (a *Activities) dueStorage(ctx context.Context, pool string, settings domain.HealthSettings, check *poolCheck) (due []dueCheck, err error) {
	last, err := a.DB.HealthStates(ctx, domain.CheckedStorage)
	if err != nil {
		return nil, err
	}
	err = eachPage(func(page db.Page) (string, error) {
		rows, next, err := a.DB.ListStorageLocations(ctx, page)
		for _, l := range rows {
			if l.Enabled && l.Pool == pool {
				due = append(due, dueCheck{l.ID, last[l.ID].CheckedAt, func(ctx context.Context) error {
					_, status, err := a.probeStorage(ctx, l, settings)
					check.count(check.report.Storage, string(status))
					return err
				}})
			}
		}
		return next, err
	})
	return due, err
}

// eachPage reads pages until there is none left.
func eachPage(read func(db.Page) (next string, err error)) error {
	for page := (db.Page{Limit: db.MaxPageSize}); ; {
		next, err := read(page)
		if page.Cursor = next; err != nil || next == "" {
			return err
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
