package contract

import (
	"time"

	"go.temporal.io/sdk/temporal"
)

// BackupScheduleID is the id of the schedule of a backup job; it begins the workflow ids of its runs.
func BackupScheduleID(jobID string) string { return BackupSchedulePrefix + jobID }

// BackupSchedulePrefix begins the schedule id of every backup job.
const BackupSchedulePrefix = "backup-job-"

// SearchScheduledFor is the search attribute that Temporal gives a workflow which a schedule started: when it was due.
var SearchScheduledFor = temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")

// ScheduledInput asks for the execution of a job that a schedule started.
type ScheduledInput struct {
	JobID      string    `json:"job_id"`
	WorkflowID string    `json:"workflow_id"`
	RunID      string    `json:"run_id"`
	StartedAt  time.Time `json:"started_at"` // the workflow
	DueAt      time.Time `json:"due_at"`     // without the jitter; zero when no schedule started it
}

// ScheduledRun is the execution that was made, or why there is none.
type ScheduledRun struct {
	ExecutionID string `json:"execution_id,omitempty"`
	Labels      Labels `json:"labels"`
	Skipped     string `json:"skipped,omitempty"`
	// Later: the run takes place when what is in its way has ended.
	Later bool `json:"later,omitempty"`
}

// QueueScheduledBackup makes the execution of a scheduled backup.
var QueueScheduledBackup = Activity[ScheduledInput, ScheduledRun]{"QueueScheduledBackup"}
