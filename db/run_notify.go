package db

import (
	"context"
	"errors"
	"fmt"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// TellRunEnd writes the notification about a run that has just ended, in the transaction that ended it. Of syncs failures
// are told, and the first success after one; of drills every end, because that is what a drill is for. Nobody is told of
// what they cancelled themselves.
func (q *Queries) TellRunEnd(ctx context.Context, kind RunKind, id string) error {
	run, err := q.GetRun(ctx, kind, id)
	if err != nil || run.Status == domain.Cancelled {
		return err
	}
	again := false
	if run.Status == domain.Completed {
		if again, err = q.failedBefore(ctx, kind, run); err != nil || (kind == RunSync && !again) {
			return err
		}
	}
	n, err := q.endOfRun(ctx, kind, run, again)
	if err != nil {
		return err
	}
	n.Severity = domain.SeverityOf(n.Type)
	return q.AddNotification(ctx, n)
}

// endOfRun is what people are told. again: it completed, and the one before it failed.
func (q *Queries) endOfRun(ctx context.Context, kind RunKind, run Run, again bool) (Notification, error) {
	n := Notification{Type: domain.NotifySyncFailed, EntityType: domain.EntitySystem, Metadata: runMetadata(kind, run)}
	what, job := "A sync", domain.EntitySyncJob
	if kind == RunDrill {
		n.Type, what, job = domain.NotifyRestoreDrillFailed, "A restore drill", domain.EntityDrillJob
	}
	if run.JobID != nil {
		name, err := q.runJobName(ctx, kind, *run.JobID)
		if err != nil {
			return n, err
		}
		n.EntityType, n.EntityID = job, *run.JobID
		what = map[RunKind]string{RunSync: "Sync ", RunDrill: "Restore drill "}[kind] + `"` + name + `"`
	}
	if run.Status != domain.Completed {
		n.Title, n.Message = what+" failed", run.ErrorMessage
		return n, nil
	}
	n.Type, n.Title = domain.NotifyRestoreDrillSuccess, what+" succeeded"
	if kind == RunSync {
		n.Type, n.Message = domain.NotifySyncRecovered, "The target holds what the source had when the run began."
	}
	if again {
		n.Title += " again"
	}
	n.Metadata["recovered"] = again
	describeDrill(&n, run.Metadata.Drill)
	return n, nil
}

// runMetadata is what templates and receivers get of a run besides the text.
func runMetadata(kind RunKind, run Run) map[string]any {
	operation, path := "sync", "/api/db-sync-executions/"
	if kind == RunDrill {
		operation, path = "restore_drill", "/api/restore-drill-executions/"
	}
	m := map[string]any{
		"execution_id": run.ID, "run_id": run.ID, "path": path + run.ID, "operation": operation,
		"trigger": string(run.Metadata.Trigger), "status": string(run.Status),
	}
	put := func(name, value string) {
		if value != "" {
			m[name] = value
		}
	}
	put("failure_class", run.Metadata.FailureClass)
	put("hint", run.Metadata.Hint)
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

func describeDrill(n *Notification, report *domain.DrillReport) {
	if report == nil {
		return
	}
	n.Message = fmt.Sprintf("The backup restores: it was ready after %.1f seconds.", report.RecoverySeconds)
	if c := report.Checks; c != nil {
		n.Message += fmt.Sprintf(" %d tables with %d rows were checked.", c.Tables, c.Rows)
	}
	n.Metadata["recovery_seconds"], n.Metadata["change_percent"] = report.RecoverySeconds, report.ChangePercent
}

func (q *Queries) runJobName(ctx context.Context, kind RunKind, id string) (string, error) {
	var name string
	err := q.conn.QueryRow(ctx, kind.runSQL(`SELECT name FROM {jobs} WHERE id = $1`), id).Scan(&name)
	return name, translate("read the name of "+string(kind)+" job "+id, err)
}

// failedBefore reports whether the run of the same job before this one that was not cancelled failed.
func (q *Queries) failedBefore(ctx context.Context, kind RunKind, run Run) (failed bool, err error) {
	if run.JobID == nil {
		return false, nil
	}
	err = translate("look at the run before", q.conn.QueryRow(ctx, kind.runSQL(`SELECT status = 'failed' FROM {runs}
		WHERE {job} = $1 AND id <> $2 AND status IN ('completed', 'failed') ORDER BY created_at DESC, id DESC LIMIT 1`), *run.JobID, run.ID).Scan(&failed))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return failed, err
}
