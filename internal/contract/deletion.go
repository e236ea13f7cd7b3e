package contract

// Place is a storage location that holds a backup, and the pool whose workers reach it.
type Place struct {
	StorageID string `json:"storage_id"`
	Name      string `json:"name"`
	Pool      string `json:"pool"`
}

// DeletePlan is what there is to delete of an execution that has been marked.
type DeletePlan struct {
	Plan
	Gone   bool    `json:"gone,omitempty"` // nothing: it is deleted already
	Places []Place `json:"places,omitempty"`
}

// EraseInput asks for the objects of a marked execution on one storage location.
type EraseInput struct {
	ExecutionID string `json:"execution_id"`
	StorageID   string `json:"storage_id"`
}

// DeleteResult is what a deletion removed from the storage.
type DeleteResult struct {
	Objects int64 `json:"objects"` // removed, without manifests
	Bytes   int64 `json:"bytes"`   // of those
	Kept    int64 `json:"kept"`    // objects that other backups need
}

// Add counts another place's result in.
func (r *DeleteResult) Add(o DeleteResult) {
	r.Objects, r.Bytes, r.Kept = r.Objects+o.Objects, r.Bytes+o.Bytes, r.Kept+o.Kept
}

// ReconcileInput asks for a comparison of a storage location with the catalogue.
type ReconcileInput struct {
	StorageID string `json:"storage_id"`
	DryRun    bool   `json:"dry_run"` // count only, remove nothing
	Labels    Labels `json:"labels"`
}

// ReconcilePlan is what a reconciliation begins with.
type ReconcilePlan struct {
	Plan
	Skip      bool     `json:"skip,omitempty"`      // the location is disabled, or nothing was ever stored there
	Deletions []string `json:"deletions,omitempty"` // executions that are marked as being deleted; the first few hundred
	More      bool     `json:"more,omitempty"`      // there are more of those
}

// ReconcileResult is what a reconciliation found on a storage location and, unless it was a dry run,
// removed.
type ReconcileResult struct {
	DryRun    bool  `json:"dry_run"`
	Objects   int64 `json:"objects"` // chunks that are there, of the catalogue's datasources
	Bytes     int64 `json:"bytes"`   // of those
	Manifests int64 `json:"manifests"`

	Deletions       int64 `json:"deletions"`        // deletions that had been interrupted
	DeletionsFailed int64 `json:"deletions_failed"` // of those, how many could not be finished now

	Orphans   Removed `json:"orphans"`   // older than a day, and referenced by nothing
	Leftovers Removed `json:"leftovers"` // of failed and cancelled backups

	UnknownBackups int64    `json:"unknown_backups"`      // manifests that the catalogue does not know; kept with their objects
	Unreadable     []string `json:"unreadable,omitempty"` // manifests that could not be read: nothing of their datasources is removed; the first few
	More           bool     `json:"more,omitempty"`       // there are more orphans, or interrupted deletions, than one run deals with
}

// Removed counts files and their bytes.
type Removed struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

// Add counts one file.
func (r *Removed) Add(bytes int64) { r.Objects, r.Bytes = r.Objects+1, r.Bytes+bytes }
