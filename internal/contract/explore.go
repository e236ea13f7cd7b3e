package contract

import (
	"time"
)

// Refusal is why a worker did not do what was asked with the files of a storage location. It is an
// answer, not a failure of the workflow: trying again does not help.
type Refusal struct {
	Reason  RefusalReason `json:"reason"`
	Class   string        `json:"class,omitempty"` // of package failure, for RefusedFailure
	Message string        `json:"message"`
	Hint    string        `json:"hint,omitempty"`
	Holders []string      `json:"holders,omitempty"` // RefusedHeld: who needs it, the first of them
}

// RefusalReason says what kind of refusal it is.
type RefusalReason string

// The reasons.
const (
	RefusedFailure  RefusalReason = "failure"  // the storage or the catalogue said no; Class says how
	RefusedPath     RefusalReason = "path"     // what was named can not be what is meant
	RefusedHeld     RefusalReason = "held"     // a kept backup needs it
	RefusedExists   RefusalReason = "exists"   // the target is there already
	RefusedReserved RefusalReason = "reserved" // the target's place belongs to backups
)

// FolderInput asks for a part of a folder of a storage location.
type FolderInput struct {
	StorageLocationID string `json:"storage_location_id"`
	Path              string `json:"path"`  // "" is the root
	After             string `json:"after"` // name of the last entry of the part before
	Limit             int    `json:"limit"`
	Labels            Labels `json:"labels"`
}

// FolderEntry is a file or a folder.
type FolderEntry struct {
	Name     string     `json:"name"` // a folder's ends in a slash
	Size     int64      `json:"size,omitempty"`
	Modified *time.Time `json:"modified,omitempty"`
}

// FolderPart is a part of a folder, in byte order of the names.
type FolderPart struct {
	Refusal *Refusal      `json:"refusal,omitempty"`
	Entries []FolderEntry `json:"entries"`
	More    bool          `json:"more"`
}

// CopyFileInput asks for a copy of a file within its storage location.
type CopyFileInput struct {
	StorageLocationID string `json:"storage_location_id"`
	From              string `json:"from"`
	To                string `json:"to"`
	Overwrite         bool   `json:"overwrite"`
	Labels            Labels `json:"labels"`
}

// DeleteFilesInput asks for the deletion of a file, or of a folder with all that is in it.
type DeleteFilesInput struct {
	StorageLocationID string `json:"storage_location_id"`
	Path              string `json:"path"` // with a slash at its end it is a folder in any case
	Labels            Labels `json:"labels"`
}

// FilesChanged is what was copied or deleted.
type FilesChanged struct {
	Refusal *Refusal `json:"refusal,omitempty"`
	Objects int64    `json:"objects"`
	Bytes   int64    `json:"bytes"`
}

// StorageUsage is what a storage location holds and has left, in bytes; a negative number is unknown.
type StorageUsage struct {
	Refusal   *Refusal `json:"refusal,omitempty"`
	Used      int64    `json:"used"`
	Available int64    `json:"available"`
	Capacity  int64    `json:"capacity"`
}

// StorageDraftInput asks for a test of a storage location that is not saved. Sealed is its
// configuration, which only holders of the master key open, under this id.
type StorageDraftInput struct {
	ID     string `json:"id"`
	Sealed string `json:"sealed"`
}

// TransferInput asks a worker of a pool for its data port.
type TransferInput struct {
	Pool string `json:"pool"`
}

// TransferOffer is where the port is; see package dataport. Off: the worker has none.
type TransferOffer struct {
	Off         bool   `json:"off,omitempty"`
	URL         string `json:"url,omitempty"`
	Certificate []byte `json:"certificate,omitempty"`
	MAC         []byte `json:"mac,omitempty"`
}

// TransferStorageFiles is the kind of the transfer of a StorageFile.
const TransferStorageFiles = "storage_files"

// StorageFile names a file, or a folder, of a storage location. It travels in a ticket, never through a
// workflow.
type StorageFile struct {
	StorageLocationID string `json:"storage_location_id"`
	Pool              string `json:"pool"` // the location's, when it was asked for
	Path              string `json:"path"` // with a slash at its end it is a folder in any case
}

// The explorer of storage locations, the test of one that is not saved, and transfers.
var (
	ListFiles         = Workflow[FolderInput, FolderPart]{"ListFiles"}
	CopyFile          = Workflow[CopyFileInput, FilesChanged]{"CopyFile"}
	DeleteFiles       = Workflow[DeleteFilesInput, FilesChanged]{"DeleteFiles"}
	MeasureStorage    = Workflow[StorageRef, StorageUsage]{"MeasureStorage"}
	CheckStorageDraft = Workflow[StorageDraftInput, CheckResult]{"CheckStorageDraft"}
	OpenTransfer      = Workflow[TransferInput, TransferOffer]{"OpenTransfer"}

	ListFolder        = Activity[FolderInput, FolderPart]{"ListFolder"}
	CopyObject        = Activity[CopyFileInput, FilesChanged]{"CopyObject"}
	DeleteObjects     = Activity[DeleteFilesInput, FilesChanged]{"DeleteObjects"}
	MeasureUsage      = Activity[StorageRef, StorageUsage]{"MeasureUsage"}
	ProbeStorageDraft = Activity[StorageDraftInput, CheckResult]{"ProbeStorageDraft"}
	OfferTransfer     = Activity[TransferInput, TransferOffer]{"OfferTransfer"}
)

// ExploreWorkflowID is the workflow id of one look at a storage location's files, or one change of
// them.
func ExploreWorkflowID(id string) string { return "files-" + id }

// TransferWorkflowID is the workflow id of the search for the port of one transfer.
func TransferWorkflowID(id string) string { return "transfer-" + id }
