package domain

import "time"

// Phase is what an execution is doing right now, as people read it.
type Phase string

// The phases, in the order in which they come.
const (
	PhasePreparing Phase = "preparing"
	PhaseHooks     Phase = "hooks" // before the dump, and after the backup
	PhaseDumping   Phase = "dumping"
	PhaseVerifying Phase = "verifying"
	PhaseCopying   Phase = "copying"  // to further storage locations
	PhaseChecking  Phase = "checking" // restore: the archive is read end to end before the first write
	PhaseLoading   Phase = "loading"  // restore: into a new database beside the target
	PhaseSwapping  Phase = "swapping" // restore: the new database takes the target's name
	PhaseCleaning  Phase = "cleaning" // leftovers are removed
	PhaseDone      Phase = "done"
)

// Progress is how far an execution is. Bytes count the plain dump; Stored counts the objects
// written. Rate is plain bytes a second over the last few seconds; ETA is in seconds, 0 unknown.
type Progress struct {
	Phase   Phase   `json:"phase"`
	Bytes   int64   `json:"bytes"`
	Total   int64   `json:"total,omitempty" doc:"Estimated plain bytes, 0 unknown"`
	Chunks  int64   `json:"chunks"`
	Skipped int64   `json:"skipped" doc:"Chunks that were stored already"`
	Stored  int64   `json:"stored" doc:"Bytes written to the storage location"`
	Rate    float64 `json:"rate"`
	ETA     int64   `json:"eta"`
	// ServerPercent is what the server says of work that it does by itself, when no byte passes through the worker.
	ServerPercent float64 `json:"server_percent,omitempty" doc:"SQL Server: how far its own BACKUP or RESTORE is"`
}

// LogLine is one line of an execution's log.
type LogLine struct {
	Time    time.Time `json:"time"`
	Level   string    `json:"level" enum:"info,warning,error"`
	Message string    `json:"message"`
}

// MaxLogLines is how many of the newest lines an execution keeps.
const MaxLogLines = 1000

// Verification is the outcome of checking a backup.
type Verification struct {
	Mode       VerifyMode `json:"mode"`
	OK         bool       `json:"ok"`
	Objects    int64      `json:"objects"`
	Bytes      int64      `json:"bytes" doc:"Stored bytes that were looked at"`
	Damaged    int64      `json:"damaged_objects,omitempty" doc:"Objects that are not what was stored; /api/storage-locations/{id}/damage names them"`
	Message    string     `json:"message,omitempty"`
	VerifiedAt time.Time  `json:"verified_at"`
}

// RestoreOptions is what a restore was asked to do; metadata.restore of its execution.
type RestoreOptions struct {
	SourceExecutionID  string `json:"source_execution_id"`
	TargetDatasourceID string `json:"target_datasource_id"`
	TargetDatabase     string `json:"target_database"`
	DropExisting       bool   `json:"drop_existing"`
	VerificationMode   bool   `json:"verification_mode"`
	KeepDatabase       bool   `json:"keep_verification_database"`
	StorageLocationID  string `json:"storage_location_id,omitempty" doc:"The copy that was asked for; left out: the first good one"`
	ParallelJobs       int    `json:"parallel_jobs,omitempty" doc:"0: the worker decides"`
	IdleTimeoutMinutes int    `json:"idle_timeout_minutes,omitempty" doc:"Longest the load may take no byte of the backup; 0: the backup's"`

	Databases    []string `json:"databases,omitempty" doc:"Backups of a whole server: the databases that are restored"`
	IncludePaths []string `json:"include_paths,omitempty" doc:"Files backups: what is restored; left out: everything"`

	IncludeTables []string `json:"include_tables,omitempty" doc:"Databases: the tables or collections that are restored; left out: everything"`

	RestoreGlobals bool `json:"restore_globals,omitempty" doc:"Backups of a whole server: roles or accounts that the target has not are made"`

	ReferencedFilesDirectory string `json:"referenced_files_directory,omitempty" doc:"Where the files that rows point to are restored on the worker; left out: nowhere"`

	SourceDatasourceID string        `json:"source_datasource_id,omitempty" doc:"Direct syncs: what is copied, in place of a backup"`
	PostRestoreSQL     []string      `json:"post_restore_sql,omitempty" doc:"Syncs: run in the new database before it takes the target's place"`
	RefuseEmpty        bool          `json:"refuse_empty,omitempty" doc:"Syncs: nothing takes the target's place where there is nothing to restore"`
	Checks             *DrillOptions `json:"checks,omitempty" doc:"Drills: what is checked in the temporary database"`
}

// Direct reports whether the restore reads a datasource in place of a backup.
func (o RestoreOptions) Direct() bool { return o.SourceDatasourceID != "" }

// RestoreReport is what a restore loaded.
type RestoreReport struct {
	Database string `json:"database" doc:"Where the data is now; empty when it was dropped again"`
	Tables   int    `json:"tables"`
	Bytes    int64  `json:"bytes"`

	Checks *CheckReport `json:"checks,omitempty" doc:"Drills: what was checked"`
}

// ExecutionMetadata is the JSON document of backup_executions.metadata.
type ExecutionMetadata struct {
	Operation      Operation         `json:"operation"`
	Trigger        Trigger           `json:"trigger"`
	Actor          string            `json:"actor,omitempty"`
	ScheduledFor   *time.Time        `json:"scheduled_for,omitempty" doc:"Trigger schedule: when it was due, without the jitter"`
	WorkflowID     string            `json:"workflow_id,omitempty"`
	RunID          string            `json:"run_id,omitempty"`
	TemporalURL    string            `json:"temporal_url,omitempty"`
	Progress       *Progress         `json:"progress,omitempty"`
	Verification   *Verification     `json:"verification,omitempty"`
	Restore        *RestoreOptions   `json:"restore,omitempty"`
	RestoreReport  *RestoreReport    `json:"restore_report,omitempty"`
	ToolVersions   map[string]string `json:"tool_versions,omitempty"`
	ManifestPath   string            `json:"manifest_path,omitempty"`
	ManifestSHA256 string            `json:"manifest_sha256,omitempty"`
	Databases      []string          `json:"databases,omitempty" doc:"Backups of a whole server: the databases that are in it"`
	FailureClass   string            `json:"failure_class,omitempty"`
	Hint           string            `json:"hint,omitempty"`
	Warnings       []string          `json:"warnings,omitempty"`
	FullReason     string            `json:"full_reason,omitempty" doc:"Why a full backup was made where another type was asked for"`
	ReusedChunks   int64             `json:"reused_chunks,omitempty" doc:"Distinct chunks of earlier backups that this one refers to"`
	ReusedBytes    int64             `json:"reused_bytes,omitempty" doc:"Stored bytes of those chunks"`
	Options        *BackupOptions    `json:"options,omitempty" doc:"The options this run used"`
	StorageResults []StorageResult   `json:"storage_results,omitempty" doc:"Backups of a job with storage_targets: what became of each location that was tried"`
	ExecutionLogs  []LogLine         `json:"execution_logs,omitempty"`
	Expired        string            `json:"expired,omitempty" doc:"Why the retention policy of its job removes it"`

	ParentWorkflowID string `json:"parent_workflow_id,omitempty" doc:"Of the sync or drill that this is a part of"`
}
