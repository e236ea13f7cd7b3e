package reconcile

import (
	"hash/fnv"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

const (
	// Every schedule of a storage location runs once a day, each at a time of its own.
	storageEvery  = 24 * time.Hour
	storageJitter = 15 * time.Minute
)

// storageSchedule is one thing that is done to every storage location.
type storageSchedule struct {
	operation string
	paused    string                        // what does not happen while it is paused
	summary   string                        // begins the summary that the Temporal UI shows
	id        func(storageID string) string // of the schedule, and of its workflow
	workflow  string
	input     func(db.StorageLocation) any
}

// storageSchedules lists all of them.
var storageSchedules = []storageSchedule{
	{
		operation: "reconcile", paused: "Interrupted deletions are not finished there, and what belongs to no backup stays.", summary: "Reconcile storage location ", id: contract.ReconcileWorkflowID, workflow: contract.Reconcile.Name,
		input: func(l db.StorageLocation) any {
			return contract.ReconcileInput{StorageID: l.ID, Labels: contract.Labels{Storage: l.Name}}
		},
	},
	{
		// Whether it reads anything is a setting, which the run looks at.
		operation: "scrub", paused: "What is stored there is not read again, so that damage is not found.", summary: "Scrub storage location ", id: contract.ScrubWorkflowID, workflow: contract.ScrubStorage.Name,
		input: func(l db.StorageLocation) any {
			return contract.ScrubInput{StorageLocationID: l.ID, Labels: contract.Labels{Storage: l.Name}}
		},
	},
}

// interval is the schedule of it for a location. They are spread over the day; a location that was just made holds nothing to look at.
func (k storageSchedule) interval(location db.StorageLocation) schedule.Interval {
	id := k.id(location.ID)
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(id)) // a hash takes everything
	return schedule.Interval{
		ID: id, Every: storageEvery, Offset: time.Duration(hash.Sum32()%uint32(storageEvery/time.Second)) * time.Second,
		Jitter: storageJitter, From: location.CreatedAt.Add(time.Hour),
		Workflow: k.workflow, Input: k.input(location), TaskQueue: contract.TaskQueue(location.Pool), Summary: k.summary + location.Name,
		Note: k.summary + location.Name + " once a day",
		Search: temporal.NewSearchAttributes(
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
