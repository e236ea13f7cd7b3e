package contract

import "github.com/dataguardian/dataguardian/internal/domain"

// VerifyBackupInput asks for a check of a kept backup on one of the storage locations that hold it.
type VerifyBackupInput struct {
	BackupID          string            `json:"backup_id"`
	StorageLocationID string            `json:"storage_location_id"`
	Mode              domain.VerifyMode `json:"mode"` // quick or full
	Labels            Labels            `json:"labels"`
}

// VerifyBackupResult is what a verification found; a damaged backup is a result, not an error.
type VerifyBackupResult struct {
	OK      bool  `json:"ok"`
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
	Damaged int64 `json:"damaged"` // at the end
	Healed  int64 `json:"healed"`
}

// CopyRef asks an activity for one check of one copy of a backup.
type CopyRef struct {
	BackupID          string            `json:"backup_id"`
	StorageLocationID string            `json:"storage_location_id"`
	Mode              domain.VerifyMode `json:"mode"`
}

// CopyCheck is what a check saw.
type CopyCheck struct {
	OK      bool  `json:"ok"`
	Backups int64 `json:"backups"`
	Objects int64 `json:"objects"` // looked at
	Bytes   int64 `json:"bytes"`
	Damaged int64 `json:"damaged"`
}

// StorageRef names a storage location.
type StorageRef struct {
	StorageLocationID string `json:"storage_location_id"`
}

// HealResult is what could be mended from copies on other storage locations.
type HealResult struct {
	Healed int64 `json:"healed"`
	Left   int64 `json:"left"`
	// Notes say why the rest is left, a few of them, for people.
	Notes []string `json:"notes,omitempty"`
}

// AnnounceInput asks for the alert about damage that nobody was told of yet.
type AnnounceInput struct {
	StorageLocationID string   `json:"storage_location_id"`
	Notes             []string `json:"notes,omitempty"`
}

// LogInput adds a line to the log of an execution.
type LogInput struct {
	ExecutionID string `json:"execution_id"`
	Level       string `json:"level"`
	Message     string `json:"message"`
}

// ScrubInput starts a run of the scrub. RunID and Without are for a run that goes on as a new
// workflow run; a schedule leaves them empty.
type ScrubInput struct {
	StorageLocationID string   `json:"storage_location_id"`
	Labels            Labels   `json:"labels"`
	RunID             string   `json:"run_id,omitempty"`
	Without           []string `json:"without,omitempty"` // generations that could not be read
}

// ScrubStep is one question of a run.
type ScrubStep struct {
	RunID             string   `json:"run_id"`
	StorageLocationID string   `json:"storage_location_id"`
	Generation        string   `json:"generation,omitempty"` // what is read, or "" to ask what is next
	Without           []string `json:"without,omitempty"`
}

// ScrubNext is what a run reads next.
type ScrubNext struct {
	Generation string `json:"generation"` // "" when the run has read its part
}

// ScrubResult is what a run of the scrub read.
type ScrubResult struct {
	Backups int64 `json:"backups"`
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
	Damaged int64 `json:"damaged"` // found, healed since or not
	// Unread are generations that could not be read.
	Unread []string `json:"unread,omitempty"`
}

// Verification as an operation of its own, and the scrub.
var (
	VerifyBackup = Workflow[VerifyBackupInput, VerifyBackupResult]{"VerifyBackup"}
	ScrubStorage = Workflow[ScrubInput, ScrubResult]{"ScrubStorage"}

	CheckCopy       = Activity[CopyRef, CopyCheck]{"CheckCopy"}
	CheckGeneration = Activity[ScrubStep, CopyCheck]{"CheckGeneration"}
	HealStorage     = Activity[StorageRef, HealResult]{"HealStorage"}
	AnnounceDamage  = Activity[AnnounceInput, Nothing]{"AnnounceDamage"}
	LogExecution    = Activity[LogInput, Nothing]{"LogExecution"}
	StartScrub      = Activity[ScrubStep, Nothing]{"StartScrub"}
	NextScrub       = Activity[ScrubStep, ScrubNext]{"NextScrub"}
	FinishScrub     = Activity[ScrubStep, ScrubResult]{"FinishScrub"}
)

// VerifyWorkflowID is the workflow id of the verification of a backup: while one runs, there is no
// second.
func VerifyWorkflowID(executionID string) string { return "verify-" + executionID }

// ScrubWorkflowID is the workflow id of the scrub of a storage location, and of its schedule.
func ScrubWorkflowID(storageLocationID string) string { return "scrub-" + storageLocationID }
