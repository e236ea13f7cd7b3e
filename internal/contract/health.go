package contract

import "github.com/dataguardian/dataguardian/internal/domain"

// The ids of the schedules of the health checks, which begin the workflow ids of their runs.
const (
	HealthScheduleID        = "dataguardian-health"         // of datasources, pools and overdue jobs
	StorageHealthScheduleID = "dataguardian-storage-health" // of storage locations
)

// HealthPlan is what a run of the health checks begins with.
type HealthPlan struct {
	Pools []string `json:"pools,omitempty"` // of enabled datasources and storage locations
}

// CheckPoolInput asks a worker of a pool to check what its workers reach.
type CheckPoolInput struct {
	Pool string `json:"pool"`
	// Of is what to check, domain.CheckedDatasource or domain.CheckedStorage; "", which runs of older versions send, is both.
	Of domain.CheckedKind `json:"of,omitempty"`
}

// PoolReport counts what was checked, by what came of it.
type PoolReport struct {
	Datasources map[string]int `json:"datasources,omitempty"` // by status
	Storage     map[string]int `json:"storage,omitempty"`
	Left        int            `json:"left,omitempty"` // what there was no time for
}

// FinishHealthInput tells which pools' workers answered.
type FinishHealthInput struct {
	Served   []string `json:"served,omitempty"`
	Unserved []string `json:"unserved,omitempty"` // no worker took the check
}

// HealthReport is what a run of the health checks found.
type HealthReport struct {
	Pools    map[string]PoolReport `json:"pools,omitempty"`
	Unserved []string              `json:"unserved,omitempty"`
	Failed   map[string]string     `json:"failed,omitempty"` // pools whose check did not get to its end, and why
	Overdue  int                   `json:"overdue"`          // jobs
}

// CheckHealth checks every enabled datasource, which pools are served and which jobs are overdue. CheckStorage without an id does the
// same for the storage locations.
var CheckHealth = Workflow[Nothing, HealthReport]{"CheckHealth"}

// The activities of CheckHealth, and of CheckStorage without an id the first two.
var (
	PlanHealth   = Activity[Nothing, HealthPlan]{"PlanHealth"}
	CheckPool    = Activity[CheckPoolInput, PoolReport]{"CheckPool"}
	FinishHealth = Activity[FinishHealthInput, int]{"FinishHealth"} // how many jobs are overdue
)
