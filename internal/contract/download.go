package contract

// The kinds of transfer that read a backup.
const (
	TransferBackup      = "backup"       // its content is the plain dump
	TransferBackupFiles = "backup_files" // its content is a domain.BackedUpFiles
)

// BackupCopy names a backup on one of the storage locations that hold it.
type BackupCopy struct {
	ExecutionID       string `json:"execution_id"`
	StorageLocationID string `json:"storage_location_id"`
	Pool              string `json:"pool"` // the location's, when it was asked for
}

// BackupDump asks for the plain dump. It travels in a ticket, sealed, as BackupFolder does.
type BackupDump struct {
	BackupCopy
	Stream string `json:"stream,omitempty"` // "" is the only one, or all of them in a tar
}

// BackupFolder asks for a part of a folder of a files backup.
type BackupFolder struct {
	BackupCopy
	Path  string `json:"path"`  // "" is the root
	After []byte `json:"after"` // name of the last entry of the part before; it need not be UTF-8
	Limit int    `json:"limit"`
}
