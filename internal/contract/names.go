package contract

import (
	"go.temporal.io/sdk/temporal"
)

// TaskQueue is the Temporal task queue that the workers of a pool serve.
func TaskQueue(pool string) string { return "dataguardian." + pool }

// ShortTaskQueue is the task queue for the activities of a workflow on taskQueue that move no data. The workers of the
// pool serve it too, with slots of their own: what people wait for does not stand behind backups.
func ShortTaskQueue(taskQueue string) string { return taskQueue + ".short" }

// Handovers is what the retry policy of a step that moves data has in attempts on top of its tries: a worker that
// stops hands its work to another one, which Temporal counts like a failure. The activity counts the tries itself.
const Handovers = 1000

// SystemTaskQueue is the task queue of what belongs to no pool: notifications, and the upkeep of the platform itself.
// Every worker serves it, whatever its pools. No pool's queue can have its name.
const SystemTaskQueue = "dataguardian-system"

// BackupWorkflowID is the workflow id of a backup execution.
func BackupWorkflowID(executionID string) string { return "backup-" + executionID }

// RestoreWorkflowID is the workflow id of a restore execution.
func RestoreWorkflowID(executionID string) string { return "restore-" + executionID }

// CleanRestoreWorkflowID is the workflow id of the cleaning up after a restore whose workflow is gone: one at
// a time.
func CleanRestoreWorkflowID(executionID string) string { return "clean-restore-" + executionID }

// CheckDatasourceWorkflowID is the workflow id of one connection test.
func CheckDatasourceWorkflowID(checkID string) string { return "check-datasource-" + checkID }

// CheckStorageWorkflowID is the workflow id of one storage test.
func CheckStorageWorkflowID(checkID string) string { return "check-storage-" + checkID }

// DeleteWorkflowID is the workflow id of the deletion of an execution: one at a time.
func DeleteWorkflowID(executionID string) string { return "delete-" + executionID }

// ReconcileWorkflowID is the workflow id of the reconciliation of a storage location. It is its
// schedule's id too.
func ReconcileWorkflowID(storageID string) string { return "reconcile-storage-" + storageID }

// ImportWorkflowID is the workflow id of the import of a storage location: one at a time.
func ImportWorkflowID(storageLocationID string) string { return "import-" + storageLocationID }

// The search attributes of every workflow, all of type Keyword. The values are the operation's
// word, and names or ids of our own rows; the Temporal UI filters by them.
var (
	SearchOperation  = temporal.NewSearchAttributeKeyKeyword("DataGuardianOperation")
	SearchJob        = temporal.NewSearchAttributeKeyKeyword("DataGuardianJob")
	SearchDatasource = temporal.NewSearchAttributeKeyKeyword("DataGuardianDatasource")
	SearchStorage    = temporal.NewSearchAttributeKeyKeyword("DataGuardianStorage")
)

// SearchAttributeNames lists the search attributes that the namespace must know, for set-up.
func SearchAttributeNames() []string {
	return []string{SearchOperation.GetName(), SearchJob.GetName(), SearchDatasource.GetName(), SearchStorage.GetName()}
}
