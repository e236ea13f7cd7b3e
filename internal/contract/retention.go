package contract

// RetentionInput asks for the retention of a backup job. Done is for a run that goes on as a new workflow run.
type RetentionInput struct {
	JobID  string        `json:"job_id"`
	Labels Labels        `json:"labels"`
	Done   RetentionDone `json:"done,omitzero"`
}

// RetentionDone is what a run of the retention has removed.
type RetentionDone struct {
	RunID   string   `json:"run_id,omitempty"` // of the first of the workflow runs
	Removed int      `json:"removed"`
	Bytes   int64    `json:"bytes"`
	Failed  []string `json:"failed,omitempty"` // executions whose removal began and could not be finished
}

// ExpireInput asks which backups go.
type ExpireInput struct {
	JobID string `json:"job_id"`
}

// Expired is a backup that has been marked and is to be removed, and the pool whose workers reach it.
type Expired struct {
	ExecutionID string `json:"execution_id"`
	Pool        string `json:"pool"`
	Labels      Labels `json:"labels"`
}

// Expiry is a batch of what goes.
type Expiry struct {
	Gone        bool      `json:"gone,omitempty"` // there is no such job any more
	Kept        int       `json:"kept"`           // backups that stay
	Expired     []Expired `json:"expired,omitempty"`
	WouldRemove []string  `json:"would_remove,omitempty"` // with auto_delete off, the first hundred
}

// FinishRetentionInput records a run of the retention.
type FinishRetentionInput struct {
	JobID       string        `json:"job_id"`
	Kept        int           `json:"kept"`
	WouldRemove []string      `json:"would_remove,omitempty"`
	Done        RetentionDone `json:"done"`
}

// ApplyRetention removes the backups of a job that its policy does not keep.
var ApplyRetention = Workflow[RetentionInput, RetentionDone]{"ApplyRetention"}

// The activities of ApplyRetention.
var (
	ExpireBackups   = Activity[ExpireInput, Expiry]{"ExpireBackups"}
	FinishRetention = Activity[FinishRetentionInput, Nothing]{"FinishRetention"}
)

// RetentionWorkflowID is the workflow id of the retention of a job: one at a time.
func RetentionWorkflowID(jobID string) string { return "retention-" + jobID }
