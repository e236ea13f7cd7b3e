package contract

import "github.com/dataguardian/dataguardian/internal/domain"

// Labels are the names of things, for summaries and search attributes; never a secret. They ride
// in a workflow's input so that its first screen in the Temporal UI is readable before any
// activity ran.
type Labels struct {
	Job        string `json:"job,omitempty"`
	Datasource string `json:"datasource,omitempty"`
	Storage    string `json:"storage,omitempty"`
}

// ExecutionInput starts a backup or a restore: the row is there already, in state queued. A schedule starts a backup with
// its job instead, and the workflow makes the row.
type ExecutionInput struct {
	ExecutionID string `json:"execution_id"`
	Labels      Labels `json:"labels"`
	JobID       string `json:"job_id,omitempty"`
}

// ExecutionResult is how an execution ended well.
type ExecutionResult struct {
	ExecutionID     string `json:"execution_id"`
	SizeBytes       int64  `json:"size_bytes"`
	CompressedBytes int64  `json:"compressed_bytes"`
	Chunks          int64  `json:"chunks"`
	Tables          int    `json:"tables,omitempty"`
	// RecoveryMS is how long a restore took until its data was loaded.
	RecoveryMS int64 `json:"recovery_ms,omitempty"`
	// Skipped is why a scheduled run did not take place.
	Skipped string `json:"skipped,omitempty"`
}

// ExecutionRef names an execution.
type ExecutionRef struct {
	ExecutionID string `json:"execution_id"`
}

// BeginInput marks an execution as running under this workflow run.
type BeginInput struct {
	ExecutionID string `json:"execution_id"`
	WorkflowID  string `json:"workflow_id"`
	RunID       string `json:"run_id"`
	// Queue: it waits for a place if the limits leave none. Older workflows do not know how to.
	Queue bool `json:"queue,omitempty"`
}

// Plan is what a workflow has to know to decide; everything else stays in the activities.
type Plan struct {
	Verify         domain.VerifyMode `json:"verify"`
	TimeoutMinutes int               `json:"timeout_minutes"`
	// Attempts bounds how often a step is tried, 0 as long as its time allows.
	Attempts int32 `json:"attempts"`
	// HeartbeatSeconds is how long a silent worker counts as alive, 0 for the default.
	HeartbeatSeconds int `json:"heartbeat_seconds,omitempty"`
	// VerificationMode: the restore goes into a temporary database that is dropped again.
	VerificationMode bool `json:"verification_mode,omitempty"`
	KeepDatabase     bool `json:"keep_database,omitempty"`
	// Hooks are the moments at which the backup has hooks.
	Hooks []domain.HookMoment `json:"hooks,omitempty"`
	// Targets are where a backup may go, its own location first, when there is more than that one; with
	// Replicate it goes to all of them.
	Targets   []Place `json:"targets,omitempty"`
	Replicate bool    `json:"replicate,omitempty"`
	// Sources are the copies that a restore may read, the best first. A plan of an older version has
	// none: the backup is read where it was made.
	Sources []Place `json:"sources,omitempty"`
	// Direct: the restore reads a datasource in place of a backup. Checks: it checks what it loaded.
	Direct bool `json:"direct,omitempty"`
	Checks bool `json:"checks,omitempty"`
	// Waiting is what the execution waits for: it has not begun, and the rest of the plan is empty.
	Waiting string `json:"waiting,omitempty"`
	// RetentionJobID is the job whose retention policy is applied after the backup, "" where there is none to apply.
	RetentionJobID string `json:"retention_job_id,omitempty"`
}

// AdmittedSignal tells the workflow of a waiting execution that there is a place for it.
const AdmittedSignal = "admitted"

// DumpResult is what one backup stored.
type DumpResult struct {
	SizeBytes   int64 `json:"size_bytes"`   // plain bytes of the dump
	StoredBytes int64 `json:"stored_bytes"` // bytes of the objects this execution added
	Chunks      int64 `json:"chunks"`
	Skipped     int64 `json:"skipped"` // chunks that an earlier backup, an earlier attempt or this one had stored already
	// Verified: the check that DumpInput.QuickCheck asks for was made, found nothing wrong, and is recorded. If not, it
	// is still to be made.
	Verified bool `json:"verified,omitempty"`
}

// VerifyInput asks for one check of a stored backup.
type VerifyInput struct {
	ExecutionID string            `json:"execution_id"` // whose progress and log it is
	BackupID    string            `json:"backup_id"`    // the backup execution that is read
	Mode        domain.VerifyMode `json:"mode"`
	// StorageAttempts: see DumpInput.
	StorageAttempts int32 `json:"storage_attempts,omitempty"`
}

// VerifyResult is a check that found nothing wrong; what it finds is an error of class Corrupt.
type VerifyResult struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

// FinishInput records how an execution ended.
type FinishInput struct {
	ExecutionID  string                 `json:"execution_id"`
	Status       domain.ExecutionStatus `json:"status"`
	FailureClass string                 `json:"failure_class,omitempty"`
	Message      string                 `json:"message,omitempty"`
	Hint         string                 `json:"hint,omitempty"`
	// Warning is what went wrong after the work of an execution that completed.
	Warning string `json:"warning,omitempty"`
}

// HooksInput asks for the hooks of a moment.
type HooksInput struct {
	ExecutionID string            `json:"execution_id"`
	Moment      domain.HookMoment `json:"moment"`
	// Outcome is how the run ended, for the moments after it; Message is why it failed.
	Outcome domain.ExecutionStatus `json:"outcome,omitempty"`
	Message string                 `json:"message,omitempty"`
}

// StageResult is what a restore loaded beside its target.
type StageResult struct {
	Tables int   `json:"tables"`
	Bytes  int64 `json:"bytes"`
	// Staging is where it is: the name of a database, or a path.
	Staging string `json:"staging,omitempty"`
}

// CheckInput tests one datasource or one storage location. CheckStorage tests every enabled one when there is no ID.
type CheckInput struct {
	ID     string `json:"id"`
	Labels Labels `json:"labels"`
}

// CheckResult is a test's outcome; a failed test is a result, not an error.
type CheckResult struct {
	Status    domain.HealthCheckStatus `json:"status"`
	LatencyMS int64                    `json:"latency_ms"`
	Version   string                   `json:"version,omitempty"`
	Message   string                   `json:"message,omitempty"`
	Hint      string                   `json:"hint,omitempty"`
	// AvailableBytes is set for storage locations, -1 unknown.
	AvailableBytes int64 `json:"available_bytes,omitempty"`
	// HostKey, as a line of known_hosts without the host, and its fingerprint: what an SSH server showed
	// when none was configured.
	HostKey            string `json:"host_key,omitempty"`
	HostKeyFingerprint string `json:"host_key_fingerprint,omitempty"`
	// All is what a test of every storage location found; the rest is empty then.
	All *HealthReport `json:"all,omitempty"`
}

// ImportInput asks for the backups of a storage location that are not in the catalogue.
type ImportInput struct {
	StorageLocationID string `json:"storage_location_id"`
	DryRun            bool   `json:"dry_run"`
	Labels            Labels `json:"labels"`
}

// MaxImportMessages bounds ImportResult.Messages.
const MaxImportMessages = 200

// ImportResult counts the manifests that were found, each in one of the other counts.
type ImportResult struct {
	DryRun   bool  `json:"dry_run"`
	Found    int64 `json:"found"`
	Imported int64 `json:"imported"` // with dry_run: would be
	Known    int64 `json:"known"`
	Replicas int64 `json:"replicas"` // copies of backups that are on another location
	Damaged  int64 `json:"damaged"`
	Skipped  int64 `json:"skipped"` // no identity opens them, or another attempt has taken their place
	// Incomplete are those of Imported and Replicas of which objects are missing or have another size.
	Incomplete int64 `json:"incomplete"`
	// Messages say why for what is damaged, skipped or incomplete, the first MaxImportMessages of them.
	Messages []string `json:"messages"`
}

// Nothing is the result of an activity that only acts.
type Nothing struct{}

// The workflows.
var (
	Backup          = Workflow[ExecutionInput, ExecutionResult]{"Backup"}
	Restore         = Workflow[ExecutionInput, ExecutionResult]{"Restore"}
	CleanRestore    = Workflow[ExecutionInput, Nothing]{"CleanRestore"}
	CheckDatasource = Workflow[CheckInput, CheckResult]{"CheckDatasource"}
	CheckStorage    = Workflow[CheckInput, CheckResult]{"CheckStorage"}
	DeleteBackup    = Workflow[ExecutionInput, DeleteResult]{"DeleteBackup"}
	Reconcile       = Workflow[ReconcileInput, ReconcileResult]{"Reconcile"}
	ImportStorage   = Workflow[ImportInput, ImportResult]{"ImportStorage"}
)

// The activities.
var (
	BeginExecution  = Activity[BeginInput, Plan]{"BeginExecution"}
	Dump            = Activity[DumpInput, DumpResult]{"Dump"}
	Verify          = Activity[VerifyInput, VerifyResult]{"Verify"}
	DiscardBackup   = Activity[DiscardInput, Nothing]{"DiscardBackup"}
	RunHooks        = Activity[HooksInput, Nothing]{"RunHooks"}
	FinishExecution = Activity[FinishInput, Nothing]{"FinishExecution"}
	CheckTarget     = Activity[RestoreStep, Nothing]{"CheckTarget"}
	CheckArchive    = Activity[RestoreStep, VerifyResult]{"CheckArchive"}
	StageRestore    = Activity[ExecutionRef, StageResult]{"StageRestore"}
	PromoteRestore  = Activity[ExecutionRef, Nothing]{"PromoteRestore"}
	DiscardRestore  = Activity[ExecutionRef, Nothing]{"DiscardRestore"}
	DropStaging     = Activity[ExecutionRef, Nothing]{"DropStaging"}
	ProbeDatasource = Activity[CheckInput, CheckResult]{"ProbeDatasource"}
	ProbeStorage    = Activity[CheckInput, CheckResult]{"ProbeStorage"}
	MarkDeleting    = Activity[ExecutionRef, DeletePlan]{"MarkDeleting"}
	EraseBackup     = Activity[EraseInput, DeleteResult]{"EraseBackup"}
	RemoveExecution = Activity[ExecutionRef, Nothing]{"RemoveExecution"}
	PlanReconcile   = Activity[ReconcileInput, ReconcilePlan]{"PlanReconcile"}
	SweepStorage    = Activity[ReconcileInput, ReconcileResult]{"SweepStorage"}
	ImportBackups   = Activity[ImportInput, ImportResult]{"ImportBackups"}
)
