package reconcile

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// healthSchedule is one of the schedules of the health checks.
type healthSchedule struct {
	id, workflow    string
	input           any
	summary, paused string // paused is what does not happen meanwhile
}

var healthSchedules = []healthSchedule{
	{
		id: contract.HealthScheduleID, workflow: contract.CheckHealth.Name, input: contract.Nothing{},
		summary: "Check datasources, pools and overdue jobs",
		paused:  "Nobody is told of datasources and pools that fail, or of overdue jobs.",
	},
	{
		id: contract.StorageHealthScheduleID, workflow: contract.CheckStorage.Name, input: contract.CheckInput{},
		summary: "Check storage locations",
		paused:  "Nobody is told of storage locations that fail or are full.",
	},
}

// EnsureHealth is EnsureUpkeep for the schedules of the health checks, whose interval is a setting.
func EnsureHealth(ctx context.Context, database *db.DB, c client.Client) error {
	settings, err := database.HealthSettings(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, h := range healthSchedules {
		_, pause, err := schedule.PutInterval(ctx, c, schedule.Interval{
			ID: h.id, Every: time.Duration(settings.IntervalSeconds) * time.Second,
			Workflow: h.workflow, Input: h.input, TaskQueue: contract.SystemTaskQueue, Summary: h.summary,
			Note:   "How often is the setting health.interval_seconds. While it is paused: " + h.paused,
			Search: temporal.NewSearchAttributes(contract.SearchOperation.ValueSet("health")),
		})
		if err == nil {
			err = tellPause(ctx, database, h.id, pause, h.paused)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}
