package domain

import "time"

// RunMetadata is the JSON document of the metadata of a run of a sync job or a drill job.
type RunMetadata struct {
	Trigger      Trigger `json:"trigger"`
	Actor        string  `json:"actor,omitempty"`
	WorkflowID   string  `json:"workflow_id,omitempty"`
	RunID        string  `json:"run_id,omitempty"`
	TemporalURL  string  `json:"temporal_url,omitempty"`
	FailureClass string  `json:"failure_class,omitempty"`
	Hint         string  `json:"hint,omitempty"`
	RetryOf      string  `json:"retry_of,omitempty" doc:"The run whose finished half this one goes on from"`
	// ScheduledFor is when a scheduled run was due, without the jitter.
	ScheduledFor *time.Time `json:"scheduled_for,omitempty"`

	Sync  *SyncPlan    `json:"sync,omitempty" doc:"Syncs: what this run copies where, as the job said when it began"`
	Drill *DrillReport `json:"drill,omitempty" doc:"Drills: what was found"`

	ExecutionLogs []LogLine `json:"execution_logs,omitempty"`
}
