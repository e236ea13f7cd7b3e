package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

const (
	// StartGrace is how old a queued execution is when its workflow must exist: much longer than the
	// API tries to start it.
	StartGrace = time.Minute
	// upkeepEvery is how often the platform is compared with Temporal.
	upkeepEvery = 5 * time.Minute
	// deletionGrace is how long a deletion is left to its own workflow.
	deletionGrace = time.Hour
	// maxDeletions is how many interrupted deletions are begun again at once.
	maxDeletions = 200
)

// EnsureUpkeep makes the schedule of the platform's upkeep, which then runs at once, or puts back what somebody has changed of
// it; made is false where it exists. That it was missing says that Temporal is new or has lost its data. A pause stays, and
// people are told of it.
func EnsureUpkeep(ctx context.Context, database *db.DB, c client.Client) (made bool, err error) {
	made, pause, err := schedule.PutInterval(ctx, c, schedule.Interval{
		ID: contract.UpkeepScheduleID, Every: upkeepEvery, Jitter: 30 * time.Second,
		Workflow: contract.Upkeep.Name, Input: contract.Nothing{}, TaskQueue: contract.SystemTaskQueue,
		Summary: "Compare the platform with Temporal, and put right what differs",
		Note:    "Keeps schedules, executions and the catalogue true. While it is paused nothing mends them.",
		Search:  temporal.NewSearchAttributes(contract.SearchOperation.ValueSet("upkeep")),
	})
	if err != nil {
		return false, err
	}
	return made, tellPause(ctx, database, contract.UpkeepScheduleID, pause, "Schedules that somebody changes, executions that lost their workflow and rows that are too old stay as they are.")
}

// tellPause tells people once that somebody has paused one of the platform's own schedules, and once that it runs again.
func tellPause(ctx context.Context, database *db.DB, id, pause, consequence string) error {
	states, err := database.HealthStates(ctx, domain.CheckedSchedule)
	if err != nil || (states[id].Announced == domain.ToldPaused) == (pause != "") {
		return err
	}
	settings := domain.HealthSettings{}
	return database.MoveHealth(ctx, domain.CheckedSchedule, id, func(before domain.HealthState) (domain.HealthState, *db.Notification) {
		next, notify := settings.Schedule(before, pause != "")
		n := &db.Notification{Type: notify, EntityType: domain.EntitySystem, Metadata: map[string]any{"schedule": id}}
		switch notify {
		case domain.NotifyHealthDegraded:
			n.Severity, n.Title = domain.SeverityWarning, "Schedule "+id+" is paused in Temporal"
			n.Message = fmt.Sprintf("%s Unpause it in the Temporal UI. The reason given there: %s", consequence, pause)
		case domain.NotifyConnectionRestored:
			n.Severity, n.Title, n.Message = domain.SeverityInfo, "Schedule "+id+" runs again", "It is not paused in Temporal any more."
		default:
			n = nil
		}
		return next, n
	})
}

// TriggerUpkeep runs the upkeep now, unless it is running.
func TriggerUpkeep(ctx context.Context, c client.Client) error {
	ctx, stop := context.WithTimeout(ctx, scheduleTimeout)
	defer stop()
	return c.ScheduleClient().GetHandle(ctx, contract.UpkeepScheduleID).Trigger(ctx, client.ScheduleTriggerOptions{})
}

// ResumeDeletions starts the workflows of deletions that were interrupted long ago, and returns how many. One that is running is
// left to itself.
func ResumeDeletions(ctx context.Context, database *db.DB, c client.Client) (int, error) {
	marked, err := database.InterruptedDeletions(ctx, time.Now().Add(-deletionGrace), maxDeletions)
	if err != nil {
		return 0, err
	}
	resumed := 0
	for _, m := range marked {
		if m.Pool == "" {
			m.Pool = domain.DefaultPool
		}
		starting, stop := context.WithTimeout(ctx, answerTimeout)
		_, err := contract.DeleteBackup.Start(starting, c, client.StartWorkflowOptions{
			ID: contract.DeleteWorkflowID(m.ID), TaskQueue: contract.TaskQueue(m.Pool),
			WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
			WorkflowExecutionErrorWhenAlreadyStarted: true,
			StaticSummary:                            "Finish the deletion of an execution of " + m.Datasource,
			TypedSearchAttributes: temporal.NewSearchAttributes(contract.SearchOperation.ValueSet("delete"),
				contract.SearchDatasource.ValueSet(m.Datasource), contract.SearchStorage.ValueSet(m.Storage)),
		}, contract.ExecutionInput{ExecutionID: m.ID, Labels: contract.Labels{Datasource: m.Datasource, Storage: m.Storage}})
		stop()
		var running *serviceerror.WorkflowExecutionAlreadyStarted
		switch {
		case err == nil:
			resumed++
		case !errors.As(err, &running):
			return resumed, fmt.Errorf("finish the deletion of execution %s: %w", m.ID, err)
		}
	}
	return resumed, nil
}
