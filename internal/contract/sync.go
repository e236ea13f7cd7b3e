package contract

import (
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// RunInput starts a run of a sync job or a drill job. A run by hand has its row already; a scheduled one has
// none, and its first activity makes it.
type RunInput struct {
	JobID  string `json:"job_id"`
	RunID  string `json:"run_id,omitempty"` // of the row
	Labels Labels `json:"labels"`
}

// BeginRunInput marks a run as running under this workflow run, or makes the row of a scheduled one.
type BeginRunInput struct {
	JobID       string `json:"job_id"`
	RunID       string `json:"run_id,omitempty"`
	WorkflowID  string `json:"workflow_id"`
	WorkflowRun string `json:"workflow_run"`
	// DueAt is when a scheduled run was due, without the jitter; zero when no schedule started it.
	DueAt time.Time `json:"due_at,omitzero"`
}

// RunPlan is what a run begins with.
type RunPlan struct {
	Plan
	RunID string `json:"run_id"`
	// Skip says why there is nothing to do: the job is running already, or is gone. Later: there is when what is in its way has ended.
	Skip  string `json:"skip,omitempty"`
	Later bool   `json:"later,omitempty"`
	// Direct: nothing is stored in between. BackedUp: the backup of an earlier run is used.
	Direct   bool   `json:"direct,omitempty"`
	BackedUp bool   `json:"backed_up,omitempty"`
	Labels   Labels `json:"labels"`
}

// RunRef names a run.
type RunRef struct {
	RunID string `json:"run_id"`
	// WorkflowID is the workflow of the run, which the executions that it makes name as their parent.
	WorkflowID string `json:"workflow_id"`
}

// Half is an execution that is a part of a run, with its row: its workflow is to be started as a child.
type Half struct {
	ExecutionID string `json:"execution_id"`
	Labels      Labels `json:"labels"`
	Summary     string `json:"summary"`
}

// FinishRunInput records how a run ended. One without an execution is the scheduled run of the job that the workflow run
// made, if it did: it was not told the row's id. RecoveryMS is the time that the restore of a drill took.
type FinishRunInput struct {
	FinishInput
	RecoveryMS  int64  `json:"recovery_ms,omitempty"`
	JobID       string `json:"job_id,omitempty"`
	WorkflowRun string `json:"workflow_run,omitempty"`
}

// RunResult is how a run ended well.
type RunResult struct {
	RunID      string `json:"run_id,omitempty"`
	Skipped    string `json:"skipped,omitempty"`
	SizeBytes  int64  `json:"size_bytes"`
	Tables     int    `json:"tables"`
	RecoveryMS int64  `json:"recovery_ms,omitempty"`
}

// ExpiredSyncBackups names the backups that a sync job keeps no longer.
type ExpiredSyncBackups struct {
	Backups []string `json:"backups,omitempty"`
}

// CheckRestoredInput asks for the checks of what a drill restored.
type CheckRestoredInput struct {
	ExecutionID string `json:"execution_id"`
	Staging     string `json:"staging"`
	Tables      int    `json:"tables"`
}

// Syncs and drills.
var (
	Sync         = Workflow[RunInput, RunResult]{"Sync"}
	RestoreDrill = Workflow[RunInput, RunResult]{"RestoreDrill"}

	BeginSync          = Activity[BeginRunInput, RunPlan]{"BeginSync"}
	CheckSyncSides     = Activity[RunRef, Nothing]{"CheckSyncSides"}
	PrepareSyncBackup  = Activity[RunRef, Half]{"PrepareSyncBackup"}
	PrepareSyncRestore = Activity[RunRef, Half]{"PrepareSyncRestore"}
	FinishSync         = Activity[FinishRunInput, Nothing]{"FinishSync"}
	ExpireSyncBackups  = Activity[RunRef, ExpiredSyncBackups]{"ExpireSyncBackups"}
	CopyDirectly       = Activity[ExecutionRef, StageResult]{"CopyDirectly"}

	BeginDrill    = Activity[BeginRunInput, RunPlan]{"BeginDrill"}
	PrepareDrill  = Activity[RunRef, Half]{"PrepareDrill"}
	FinishDrill   = Activity[FinishRunInput, Nothing]{"FinishDrill"}
	CheckRestored = Activity[CheckRestoredInput, domain.CheckReport]{"CheckRestored"}
)

// SyncWorkflowID is the workflow id of a run of a sync job by hand. A scheduled one is named by its schedule.
func SyncWorkflowID(runID string) string { return "sync-" + runID }

// DrillWorkflowID is the workflow id of a run of a drill job by hand.
func DrillWorkflowID(runID string) string { return "drill-" + runID }

// SyncScheduleID and DrillScheduleID name the schedules of jobs.
func SyncScheduleID(jobID string) string { return "sync-job-" + jobID }

// DrillScheduleID is SyncScheduleID for a drill job.
func DrillScheduleID(jobID string) string { return "drill-job-" + jobID }
