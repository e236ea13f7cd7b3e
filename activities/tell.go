package activities

import (
	"context"

	"go.temporal.io/sdk/activity"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
)

// linked adds to what people are told where the Temporal UI shows the workflow that found it out; nil stays nil.
func (a *Activities) linked(ctx context.Context, n *db.Notification) *db.Notification {
	if n == nil || a.TemporalURL == nil || !activity.IsActivity(ctx) {
		return n
	}
	if n.Metadata == nil {
		n.Metadata = map[string]any{}
	}
	run := activity.GetInfo(ctx).WorkflowExecution
	n.Metadata["temporal_url"] = a.TemporalURL(run.ID, run.RunID)
	return n
}

// Where the API shows the runs of syncs and drills.
const (
	syncRunPath  = "/api/db-sync-executions/"
	drillRunPath = "/api/restore-drill-executions/"
)

// runMetadata is what templates and receivers get of a run of a sync or a drill besides the text.
func runMetadata(run db.Run, operation, path string, in contract.FinishRunInput) map[string]any {
	m := map[string]any{
		"execution_id": run.ID, "run_id": run.ID, "path": path + run.ID, "operation": operation,
		"trigger": string(run.Metadata.Trigger), "status": string(run.Status),
	}
	put := func(name, value string) {
		if value != "" {
			m[name] = value
		}
	}
	put("failure_class", in.FailureClass)
	put("hint", in.Hint)
	put("error", run.ErrorMessage)
	put("temporal_url", run.Metadata.TemporalURL)
	put("actor", run.Metadata.Actor)
	for name, id := range map[string]*string{"backup_execution_id": run.BackupExecutionID, "restore_execution_id": run.RestoreExecutionID} {
		if id != nil {
			m[name] = *id
		}
	}
	if plan := run.Metadata.Sync; plan != nil {
		put("source_datasource_id", plan.FromDatasourceID)
		put("target_datasource_id", plan.IntoDatasourceID)
		put("storage_location_id", plan.StorageLocationID)
	}
	if run.StartedAt != nil && run.FinishedAt != nil {
		m["duration_seconds"] = int64(run.FinishedAt.Sub(*run.StartedAt).Seconds())
	}
	return m
}
