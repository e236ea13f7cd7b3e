package contract

// HealthScheduleID is the id of the schedule of the health checks, and begins the workflow ids of its runs.
const HealthScheduleID = "dataguardian-health"

// HealthPlan is what a run of the health checks begins with.
type HealthPlan struct {
	Pools []string `json:"pools,omitempty"` // of enabled datasources and storage locations
}

// CheckPoolInput asks a worker of a pool to check everything that its workers reach.
type CheckPoolInput struct {
	Pool string `json:"pool"`
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

// CheckHealth checks every enabled datasource and storage location, and which jobs are overdue.
var CheckHealth = Workflow[Nothing, HealthReport]{"CheckHealth"}

// The activities of CheckHealth.
var (
	PlanHealth   = Activity[Nothing, HealthPlan]{"PlanHealth"}
	CheckPool    = Activity[CheckPoolInput, PoolReport]{"CheckPool"}
	FinishHealth = Activity[FinishHealthInput, int]{"FinishHealth"} // how many jobs are overdue
)
