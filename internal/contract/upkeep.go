package contract

// UpkeepScheduleID is the id of the schedule of the platform's own upkeep, and begins the workflow ids of its runs.
const UpkeepScheduleID = "dataguardian-upkeep"

// SchedulesReport is what was done to the schedules of jobs.
type SchedulesReport struct {
	Jobs      int `json:"jobs"`
	Made      int `json:"made"`
	Corrected int `json:"corrected"`
	Removed   int `json:"removed"`
	Paused    int `json:"paused"` // by somebody, in Temporal
}

// SweepReport is what became of open executions and interrupted deletions.
type SweepReport struct {
	Closed    int `json:"closed"`    // executions and runs without a workflow
	Copies    int `json:"copies"`    // pending copies without one
	Deletions int `json:"deletions"` // interrupted ones that were begun again
}

// PruneReport counts the rows that were removed because they are too old.
type PruneReport map[string]int64

// UpkeepReport is what one run of the upkeep did.
type UpkeepReport struct {
	Schedules SchedulesReport `json:"schedules"`
	Sweep     SweepReport     `json:"sweep"`
	Pruned    PruneReport     `json:"pruned,omitempty"`
	Failed    []string        `json:"failed,omitempty"` // steps that did not succeed, and why
}

// Upkeep compares the platform with Temporal and puts right what differs.
var Upkeep = Workflow[Nothing, UpkeepReport]{"Upkeep"}

// The activities of the upkeep.
var (
	EnsureSchedules = Activity[Nothing, SchedulesReport]{"EnsureSchedules"}
	SweepExecutions = Activity[Nothing, SweepReport]{"SweepExecutions"}
	PruneCatalogue  = Activity[Nothing, PruneReport]{"PruneCatalogue"}
)
