package domain

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// StorageStrategy says what a job's further storage locations are for.
type StorageStrategy string

// The strategies. Fallback: the first location that takes the backup has it. Replicate: every location
// gets it, one after the other; when the first fails, the next becomes the first.
const (
	StrategyFallback  StorageStrategy = "fallback"
	StrategyReplicate StorageStrategy = "replicate"
)

// MaxStorageTargets is how many further locations a job may have.
const MaxStorageTargets = 8

// StorageTarget is a further storage location of a job, besides its own, which always comes first.
type StorageTarget struct {
	StorageLocationID string `json:"storage_location_id" format:"uuid" doc:"Its pool must be the datasource's"`
	Order             int    `json:"order,omitempty" doc:"The lowest comes first; of equals the one that is written first" minimum:"0" maximum:"1000"`
}

// Targets are the ids of the further locations in the order in which they are used.
func (o BackupOptions) Targets() []string {
	sorted := slices.Clone(o.StorageTargets)
	slices.SortStableFunc(sorted, func(a, b StorageTarget) int { return cmp.Compare(a.Order, b.Order) })
	ids := make([]string, len(sorted))
	for i, target := range sorted {
		ids[i] = target.StorageLocationID
	}
	return ids
}

var uuidShape = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func (o BackupOptions) checkTargets(v *Invalid) {
	if !oneOf(o.StorageStrategy, StrategyFallback, StrategyReplicate) {
		v.Add("storage_strategy", "is %q; use fallback or replicate", o.StorageStrategy)
	}
	if o.StorageStrategy == StrategyReplicate && len(o.StorageTargets) == 0 {
		v.Add("storage_targets", "is empty; replicate needs at least one more storage location")
	}
	if len(o.StorageTargets) > MaxStorageTargets {
		v.Add("storage_targets", "has %d locations; give at most %d", len(o.StorageTargets), MaxStorageTargets)
	}
	seen := map[string]bool{}
	for i, target := range o.StorageTargets {
		field := TargetField(i)
		switch id := target.StorageLocationID; {
		case !uuidShape.MatchString(id):
			v.Add(field, "is %q; give the id of a storage location", id)
		case seen[id]:
			v.Add(field, "names a location that is a target already")
		default:
			seen[id] = true
		}
	}
}

// TargetField is the path below backup_options of the location that a target names.
func TargetField(index int) string {
	return "storage_targets[" + strconv.Itoa(index) + "].storage_location_id"
}

// TargetStatus is where the backup stands on one storage location.
type TargetStatus string

// The states. Pending: a copy is being made, or is about to be.
const (
	TargetPending   TargetStatus = "pending"
	TargetCompleted TargetStatus = "completed"
	TargetFailed    TargetStatus = "failed"
)

// StorageResult is what became of a backup on one storage location.
type StorageResult struct {
	StorageLocationID string       `json:"storage_location_id"`
	Name              string       `json:"name"`
	Status            TargetStatus `json:"status" enum:"pending,completed,failed"`
	Objects           int64        `json:"objects" doc:"That the backup has there, without the manifest"`
	Bytes             int64        `json:"bytes" doc:"That were written there for this backup"`
	FailureClass      string       `json:"failure_class,omitempty"`
	Error             string       `json:"error,omitempty"`
	Hint              string       `json:"hint,omitempty"`
	At                time.Time    `json:"at"`
}
