package reconcile

import (
	"strings"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
)

// storageSchedule is one thing that is done to every storage location.
type storageSchedule struct {
	operation string
	summary   string                        // begins the summary that the Temporal UI shows
	id        func(storageID string) string // of the schedule, and of its workflow
	workflow  string
	input     func(db.StorageLocation) any
}

// storageSchedules lists all of them.
var storageSchedules = []storageSchedule{
	{
		operation: "reconcile", summary: "Reconcile storage location ", id: contract.ReconcileWorkflowID, workflow: contract.Reconcile.Name,
		input: func(l db.StorageLocation) any {
			return contract.ReconcileInput{StorageID: l.ID, Labels: contract.Labels{Storage: l.Name}}
		},
	},
	{
		// Whether it reads anything is a setting, which the run looks at.
		operation: "scrub", summary: "Scrub storage location ", id: contract.ScrubWorkflowID, workflow: contract.ScrubStorage.Name,
		input: func(l db.StorageLocation) any {
			return contract.ScrubInput{StorageLocationID: l.ID, Labels: contract.Labels{Storage: l.Name}}
		},
	},
}

func (k storageSchedule) action(location db.StorageLocation) *client.ScheduleWorkflowAction {
	return &client.ScheduleWorkflowAction{
		ID:            k.id(location.ID),
		Workflow:      k.workflow,
		Args:          []any{k.input(location)},
		TaskQueue:     contract.TaskQueue(location.Pool),
		StaticSummary: k.summary + location.Name,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			contract.SearchOperation.ValueSet(k.operation), contract.SearchStorage.ValueSet(location.Name)),
	}
}

// storageOf is the storage location that a schedule is for; ours is false for any other schedule.
func storageOf(scheduleID string) (storageID string, ours bool) {
	for _, kind := range storageSchedules {
		if id, found := strings.CutPrefix(scheduleID, kind.id("")); found {
			return id, true
		}
	}
	return "", false
}
