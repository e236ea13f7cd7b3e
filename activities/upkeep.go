package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/reconcile"
)

// upkeepPulse is how often the steps of the upkeep say that they go on.
const upkeepPulse = 2 * time.Second

// EnsureSchedules brings the schedules of all jobs in step with the catalogue.
func (a *Activities) EnsureSchedules(ctx context.Context, _ contract.Nothing) (contract.SchedulesReport, error) {
	defer startPulse(ctx, upkeepPulse, struct{}{}).stop()
	report, err := reconcile.EnsureJobSchedules(ctx, a.DB, activity.GetClient(ctx))
	return report, toTemporal(ctx, err)
}

// SweepExecutions closes the executions and runs that no workflow is going to close, ends copies that lost theirs, lets in who
// waits, and begins deletions again that were interrupted. A step that fails does not keep the others from being done.
func (a *Activities) SweepExecutions(ctx context.Context, _ contract.Nothing) (contract.SweepReport, error) {
	defer startPulse(ctx, upkeepPulse, struct{}{}).stop()
	var report contract.SweepReport
	temporal := activity.GetClient(ctx)
	closed, failed := reconcile.Sweep(ctx, a.DB, temporal, reconcile.StartGrace, a.Logger)
	runs, err := reconcile.SweepRuns(ctx, a.DB, temporal, reconcile.StartGrace, a.Logger)
	report.Closed, failed = closed+runs, errors.Join(failed, err)
	report.Copies, err = reconcile.SettleCopies(ctx, a.DB, temporal, reconcile.StartGrace)
	failed = errors.Join(failed, err, a.DB.AdmitWaiting(ctx)) // a limit may have been raised
	a.tellAdmitted(ctx)
	report.Deletions, err = reconcile.ResumeDeletions(ctx, a.DB, temporal)
	return report, toTemporal(ctx, errors.Join(failed, err))
}

// PruneCatalogue removes what has expired and what is older than the settings say.
func (a *Activities) PruneCatalogue(ctx context.Context, _ contract.Nothing) (contract.PruneReport, error) {
	defer startPulse(ctx, upkeepPulse, struct{}{}).stop()
	settings, err := a.DB.PruneSettings(ctx)
	if err != nil {
		return nil, toTemporal(ctx, err)
	}
	removed, err := a.DB.Prune(ctx, settings, time.Now())
	return removed, toTemporal(ctx, err)
}
