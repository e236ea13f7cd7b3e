package activities

import (
	"context"
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
	report, err := a.schedules.Ensure(ctx, a.DB, activity.GetClient(ctx))
	return report, toTemporal(ctx, err)
}

// SweepExecutions closes the executions that no workflow is going to close, and begins deletions again that were interrupted.
func (a *Activities) SweepExecutions(ctx context.Context, _ contract.Nothing) (contract.SweepReport, error) {
	defer startPulse(ctx, upkeepPulse, struct{}{}).stop()
	var report contract.SweepReport
	var err error
	if report.Closed, err = reconcile.Sweep(ctx, a.DB, activity.GetClient(ctx), reconcile.StartGrace, a.Logger); err != nil {
		return report, toTemporal(ctx, err)
	}
	runs, err := reconcile.SweepRuns(ctx, a.DB, activity.GetClient(ctx), reconcile.StartGrace, a.Logger)
	if report.Closed += runs; err != nil {
		return report, toTemporal(ctx, err)
	}
	if report.Copies, err = reconcile.SettleCopies(ctx, a.DB, activity.GetClient(ctx), reconcile.StartGrace); err != nil {
		return report, toTemporal(ctx, err)
	}
	if err := a.DB.AdmitWaiting(ctx); err != nil { // a limit may have been raised
		return report, toTemporal(ctx, err)
	}
	a.tellAdmitted(ctx)
	report.Deletions, err = reconcile.ResumeDeletions(ctx, a.DB, activity.GetClient(ctx))
	return report, toTemporal(ctx, err)
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
