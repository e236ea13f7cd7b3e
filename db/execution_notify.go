package db

import (
	"context"
	"fmt"
	"strings"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// tellEnd writes the notification about an execution that has just ended, in the transaction that ended it. One
// that completed with something gone wrong after its work (warned) is told as a warning, not only for the record.
// Nobody is told of what they cancelled themselves, nor of a sync's or drill's own backups and restores: those
// tell of the whole.
func (q *Queries) tellEnd(ctx context.Context, id string, warned bool) error {
	e, err := q.GetExecution(ctx, id)
	if err != nil {
		return err
	}
	switch {
	case e.Status == domain.Cancelled:
		return nil
	case e.Metadata.Trigger == domain.TriggerSync, e.Metadata.Trigger == domain.TriggerDrill, e.Metadata.Trigger == domain.TriggerImport:
		return nil
	}
	names, err := q.namesOf(ctx, e)
	if err != nil {
		return err
	}
	n := endOf(e, names)
	if warned {
		n.Title, n.Severity = n.Title+" with a warning", domain.SeverityWarning
	}
	return q.AddNotification(ctx, n)
}

// executionNames are what an execution names, as people call it; "" for what is gone.
type executionNames struct{ job, datasource, storage string }

func (q *Queries) namesOf(ctx context.Context, e Execution) (names executionNames, err error) {
	if e.JobID != nil {
		job, err := q.q.GetBackupJob(ctx, *e.JobID)
		if err := translate("read the job of an execution", err); err != nil && !isMissing(err) {
			return names, err
		}
		names.job = job.Name
	}
	if e.DatasourceID != nil {
		datasource, err := q.q.GetDatasource(ctx, *e.DatasourceID)
		if err := translate("read the datasource of an execution", err); err != nil && !isMissing(err) {
			return names, err
		}
		names.datasource = datasource.Name
	}
	if e.StorageLocationID != nil {
		location, err := q.q.GetStorageLocation(ctx, *e.StorageLocationID)
		if err := translate("read the storage location of an execution", err); err != nil && !isMissing(err) {
			return names, err
		}
		names.storage = location.Name
	}
	return names, nil
}

// endOf is what people are told about an execution that has ended.
func endOf(e Execution, names executionNames) Notification {
	n := Notification{EntityType: domain.EntitySystem, Metadata: endMetadata(e, names)}
	switch {
	case e.Metadata.Operation == domain.OperationBackup && e.JobID != nil:
		n.EntityType, n.EntityID = domain.EntityBackupJob, *e.JobID
	case e.DatasourceID != nil:
		n.EntityType, n.EntityID = domain.EntityDatasource, *e.DatasourceID
	}
	subject := names.datasource
	if subject == "" {
		subject = "a datasource that is gone"
	}
	what := "Backup of " + subject
	if e.Metadata.Operation == domain.OperationRestore {
		what = "Restore into " + subject
		if r := e.Metadata.Restore; r != nil && r.VerificationMode {
			what = "Verification restore of a backup of " + subject
		}
	}
	if e.Status == domain.Completed {
		n.Type, n.Title = domain.NotifyBackupSuccess, what+" completed"
		if e.Metadata.Operation == domain.OperationRestore {
			n.Type = domain.NotifyRestoreSuccess
		}
		n.Message = strings.Join(e.Metadata.Warnings, "\n")
	} else {
		n.Type, n.Title = domain.NotifyBackupFailed, what+" failed"
		if e.Metadata.Operation == domain.OperationRestore {
			n.Type = domain.NotifyRestoreFailed
		}
		n.Message = e.ErrorMessage
	}
	n.Severity = domain.SeverityOf(n.Type)
	return n
}

// endMetadata is what templates and receivers get besides the text. It holds no secret.
func endMetadata(e Execution, names executionNames) map[string]any {
	m := map[string]any{
		"execution_id": e.ID, "operation": string(e.Metadata.Operation), "trigger": string(e.Metadata.Trigger), "status": string(e.Status),
	}
	put := func(name, value string) {
		if value != "" {
			m[name] = value
		}
	}
	for name, id := range map[string]*string{"job_id": e.JobID, "datasource_id": e.DatasourceID, "storage_location_id": e.StorageLocationID} {
		if id != nil {
			m[name] = *id
		}
	}
	put("job", names.job)
	put("datasource", names.datasource)
	put("storage", names.storage)
	put("error", e.ErrorMessage)
	put("hint", e.Metadata.Hint)
	put("failure_class", e.Metadata.FailureClass)
	put("temporal_url", e.Metadata.TemporalURL)
	put("actor", e.Metadata.Actor)
	if e.StartedAt != nil && e.FinishedAt != nil {
		m["duration_seconds"] = int64(e.FinishedAt.Sub(*e.StartedAt).Seconds())
	}
	if e.Status == domain.Completed {
		m["size_bytes"], m["stored_bytes"] = e.SizeBytes, e.CompressedSizeBytes
		if r := e.Metadata.RestoreReport; r != nil {
			m["size_bytes"], m["tables"] = r.Bytes, r.Tables
			put("database", r.Database)
		}
	}
	if e.Metadata.Operation == domain.OperationBackup {
		m["backup_type"] = fmt.Sprint(e.BackupType)
	}
	return m
}
