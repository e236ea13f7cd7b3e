package contract

import "github.com/dataguardian/dataguardian/internal/domain"

// Attempts of a dump on several storage locations are numbered through, so that one of an earlier
// location never looks like one of a later.

// DumpInput asks for a dump into the storage location where the execution is.
type DumpInput struct {
	ExecutionID string `json:"execution_id"`
	// AttemptsBefore are numbers that attempts on other locations may have taken.
	AttemptsBefore int32 `json:"attempts_before,omitempty"`
	// StorageAttempts is how often a failure of the storage is tried again before another location is
	// tried instead; 0: as often as any other.
	StorageAttempts int32 `json:"storage_attempts,omitempty"`
	// QuickCheck asks for the quick check of what was stored, in the same step; any other is a step of its own.
	QuickCheck bool `json:"quick_check,omitempty"`
}

// DiscardInput asks for the removal of what a backup stored where it is. Attempts up to Before are fenced
// off; 0 are all.
type DiscardInput struct {
	ExecutionID string `json:"execution_id"`
	Before      int32  `json:"before,omitempty"`
}

// MoveInput moves a backup that is not finished to another storage location.
type MoveInput struct {
	ExecutionID       string `json:"execution_id"`
	StorageLocationID string `json:"storage_location_id"`
	AttemptsBefore    int32  `json:"attempts_before"`
}

// RestoreStep is a step of a restore that reads the backup.
type RestoreStep struct {
	ExecutionID     string `json:"execution_id"`
	StorageAttempts int32  `json:"storage_attempts,omitempty"` // see DumpInput
}

// SourceInput chooses the copy that a restore reads. Why says why it is not the one before.
type SourceInput struct {
	ExecutionID       string `json:"execution_id"`
	StorageLocationID string `json:"storage_location_id"`
	Why               string `json:"why,omitempty"`
}

// TargetReport records what became of a backup on one storage location. Result.At is when it is
// recorded.
type TargetReport struct {
	ExecutionID string               `json:"execution_id"`
	Result      domain.StorageResult `json:"result"`
	Warning     string               `json:"warning,omitempty"` // for metadata.warnings and the log
	Alert       bool                 `json:"alert,omitempty"`   // people are told
}

// ReplicateInput asks for a copy of a backup on one more storage location.
type ReplicateInput struct {
	ExecutionID string `json:"execution_id"`
	Target      Place  `json:"target"`
	Labels      Labels `json:"labels"`
}

// ReplicaRef names a copy of a backup.
type ReplicaRef struct {
	ExecutionID       string `json:"execution_id"`
	StorageLocationID string `json:"storage_location_id"`
}

// CopyResult is a copy of a backup that was made and verified.
type CopyResult struct {
	Objects int64 `json:"objects"` // of the backup
	Copied  int64 `json:"copied"`  // of them; the others were there
	Bytes   int64 `json:"bytes"`   // copied
}

// Replication, and what fallback needs.
var (
	Replicate = Workflow[ReplicateInput, CopyResult]{"Replicate"}

	MoveBackup   = Activity[MoveInput, Nothing]{"MoveBackup"}
	ChooseSource = Activity[SourceInput, Nothing]{"ChooseSource"}
	RecordTarget = Activity[TargetReport, Nothing]{"RecordTarget"}
	BeginReplica = Activity[ReplicaRef, Plan]{"BeginReplica"}
	CopyBackup   = Activity[ReplicaRef, CopyResult]{"CopyBackup"}
)

// ReplicateWorkflowID is the workflow id of the copying of a backup to a storage location: one at a
// time.
func ReplicateWorkflowID(executionID, storageLocationID string) string {
	return "replicate-" + executionID + "-" + domain.ID8(storageLocationID)
}
