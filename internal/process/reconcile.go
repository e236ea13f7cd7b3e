package process

import (
	"context"
	"log/slog"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/reconcile"
)

const sweepEvery = time.Minute

// StartReconciling is StartReconcilingEvery minute.
func StartReconciling(ctx context.Context, database *db.DB, temporal client.Client, logger *slog.Logger) (stop func()) {
	return StartReconcilingEvery(ctx, sweepEvery, database, temporal, logger)
}

// StartReconcilingEvery closes executions that lost their workflow and keeps the schedules of the storage
// locations and of the platform's upkeep, now and every so often, in the background; the upkeep itself, which is the
// workers' work, is asked for at the start. It ends with ctx or by stop, which returns when it has ended.
func StartReconcilingEvery(ctx context.Context, every time.Duration, database *db.DB, temporal client.Client, logger *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		schedules := reconcile.NewSchedules(database, temporal)
		for asked := false; ; {
			asked = ensureUpkeep(ctx, database, temporal, schedules.Forget, asked, logger)
			if _, err := reconcile.Sweep(ctx, database, temporal, reconcile.StartGrace, logger); err != nil && ctx.Err() == nil {
				logger.WarnContext(ctx, "could not compare all executions with their workflows; trying again soon", "error", err)
			}
			if _, err := reconcile.SweepRuns(ctx, database, temporal, reconcile.StartGrace, logger); err != nil && ctx.Err() == nil {
				logger.WarnContext(ctx, "could not compare all syncs and drills with their workflows; trying again soon", "error", err)
			}
			if err := schedules.Ensure(ctx); err != nil && ctx.Err() == nil {
				logger.WarnContext(ctx, "could not bring the schedules of the storage locations up to date; trying again soon", "error", err)
			}
			if err := reconcile.EnsureHealth(ctx, database, temporal); err != nil && ctx.Err() == nil {
				logger.WarnContext(ctx, "could not bring the schedule of the health checks up to date; trying again soon", "error", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return func() { cancel(); <-done }
}

// ensureUpkeep keeps the schedule of the upkeep and asks for one run, unless asked says that it was asked for; it returns
// whether it is. A schedule that was missing says that Temporal has lost its data: then lost is called.
func ensureUpkeep(ctx context.Context, database *db.DB, temporal client.Client, lost func(), asked bool, logger *slog.Logger) bool {
	made, err := reconcile.EnsureUpkeep(ctx, database, temporal)
	if made {
		lost()
	} else if err == nil && !asked {
		err = reconcile.TriggerUpkeep(ctx, temporal)
	}
	if err != nil && ctx.Err() == nil {
		logger.WarnContext(ctx, "could not bring the schedule of the upkeep up to date; trying again soon", "error", err)
	}
	return asked || err == nil
}
