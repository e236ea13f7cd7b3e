package domain

import "time"

// KeptBackup is what a retention policy looks at: a completed backup of a job.
type KeptBackup struct {
	ID      string
	At      time.Time // the recovery point: when the backup began
	Good    bool      // no check found it damaged
	Pinned  bool
	Held    string // what needs it right now, "" when nothing does
	Stored  int64  // bytes it added to the storage location
	Storage string // name of the storage location
	// Datasource is the id of what was backed up, "" when that is gone. A job can be given another one.
	Datasource string
}

// RetentionVerdict is what a policy says of one backup.
type RetentionVerdict struct {
	KeptBackup
	Keep    bool
	Reasons []string // at least one
}

// Empty reports that no rule is set: everything is kept.
func (p RetentionPolicy) Empty() bool {
	p.AutoDelete = false
	return p == RetentionPolicy{}
}

// RetentionResult is what the last run of a job's retention did, or with auto_delete off would have done.
type RetentionResult struct {
	At          time.Time `json:"at"`
	Kept        int       `json:"kept" doc:"Backups that stay"`
	Removed     int       `json:"removed" doc:"Backups that were removed"`
	Bytes       int64     `json:"bytes" doc:"Freed on the storage locations"`
	Failed      int       `json:"failed" doc:"Backups whose removal began and could not be finished yet; the next run or a reconciliation goes on with it"`
	WouldRemove []string  `json:"would_remove,omitempty" doc:"With auto_delete off: backups that the policy does not keep, the first hundred"`
}
