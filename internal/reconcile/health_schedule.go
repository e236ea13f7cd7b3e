package reconcile

import (
	"context"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// EnsureHealth is EnsureUpkeep for the schedule of the health checks, whose interval is a setting.
func EnsureHealth(ctx context.Context, database *db.DB, c client.Client) error {
	settings, err := database.HealthSettings(ctx)
	if err != nil {
		return err
	}
	_, pause, err := schedule.PutInterval(ctx, c, schedule.Interval{
		ID: contract.HealthScheduleID, Every: time.Duration(settings.IntervalSeconds) * time.Second,
		Workflow: contract.CheckHealth.Name, Input: contract.Nothing{}, TaskQueue: contract.SystemTaskQueue,
		Summary: "Check datasources, storage locations, pools and overdue jobs",
		Note:    "How often is the setting health.interval_seconds. While it is paused nobody is told of outages.",
		Search:  temporal.NewSearchAttributes(contract.SearchOperation.ValueSet("health")),
	})
	if err != nil {
		return err
	}
	return tellPause(ctx, database, contract.HealthScheduleID, pause, "Nobody is told of datasources, storage locations and pools that fail, or of overdue jobs.")
}
