package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
)

// EnsureHealth makes the schedule of the health checks, or gives it the interval that the settings say. A pause that
// somebody made stays.
func EnsureHealth(ctx context.Context, database *db.DB, c client.Client) error {
	settings, err := database.HealthSettings(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, scheduleTimeout)
	defer stop()
	every := time.Duration(settings.IntervalSeconds) * time.Second
	spec := client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: every}}}
	schedules := c.ScheduleClient()
	_, err = schedules.Create(ctx, client.ScheduleOptions{
		ID: contract.HealthScheduleID, Spec: spec,
		Action: &client.ScheduleWorkflowAction{
			ID: contract.HealthScheduleID, Workflow: contract.CheckHealth.Name, Args: []any{contract.Nothing{}}, TaskQueue: contract.SystemTaskQueue,
			StaticSummary:         "Check datasources, storage locations, pools and overdue jobs",
			TypedSearchAttributes: temporal.NewSearchAttributes(contract.SearchOperation.ValueSet("health")),
		},
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: every, // one late run is enough
		Note:               "How often is the setting health.interval_seconds. While it is paused nobody is told of outages.",
		TriggerImmediately: true,
	})
	if err == nil {
		return nil
	}
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return fmt.Errorf("create schedule %s: %w", contract.HealthScheduleID, err)
	}
	err = schedules.GetHandle(ctx, contract.HealthScheduleID).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			schedule := in.Description.Schedule
			if there := schedule.Spec.Intervals; len(there) == 1 && there[0].Every == every {
				return nil, temporal.ErrSkipScheduleUpdate
			}
			schedule.Spec, schedule.Policy.CatchupWindow = &spec, every
			return &client.ScheduleUpdate{Schedule: &schedule}, nil
		},
	})
	if err != nil {
		return fmt.Errorf("correct schedule %s: %w", contract.HealthScheduleID, err)
	}
	return nil
}
