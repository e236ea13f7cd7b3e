package activities

import (
	"errors"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// unlessGone: what was deleted while it was checked needs no record.
func unlessGone(err error) error {
	var missing *db.ReferenceError
	if errors.Is(err, db.ErrNotFound) || errors.As(err, &missing) {
		return nil
	}
	return err
}

// tellDatasource is what people are told of a transition of a datasource; nil when there is nothing to tell.
func tellDatasource(d db.Datasource, notify domain.NotificationType, result contract.CheckResult, s domain.HealthSettings) *db.Notification {
	if notify == "" {
		return nil
	}
	n := &db.Notification{
		Type: notify, Severity: domain.SeverityOf(notify), EntityType: domain.EntityDatasource, EntityID: d.ID,
		Metadata: map[string]any{"datasource": d.Name, "status": result.Status, "latency_ms": result.LatencyMS, "pool": d.Pool},
	}
	addHint(n, result.Hint)
	switch notify {
	case domain.NotifyConnectionLost:
		n.Title = "Datasource " + quoted(d.Name) + " can not be reached"
		n.Message = fmt.Sprintf("%d checks in a row failed, the last with %s: %s", s.FailuresToCritical, result.Status, result.Message)
	case domain.NotifyConnectionRestored:
		n.Title = "Datasource " + quoted(d.Name) + " is back"
		n.Message = fmt.Sprintf("It answered within %d ms.", result.LatencyMS)
	default:
		n.Title = "Datasource " + quoted(d.Name) + " answers slowly"
		n.Message = fmt.Sprintf("It took %d ms; from %d ms on that is a warning (setting %s).", result.LatencyMS, s.LatencyWarningMS, domain.SettingHealthLatency)
	}
	return n
}

// tellStorage is what people are told of a transition of a storage location.
func tellStorage(l db.StorageLocation, notify domain.NotificationType, result contract.CheckResult) *db.Notification {
	if notify == "" {
		return nil
	}
	n := &db.Notification{
		Type: notify, Severity: domain.SeverityOf(notify), EntityType: domain.EntityStorageLocation, EntityID: l.ID,
		Metadata: map[string]any{"storage": l.Name, "storage_location": l.Name, "status": result.Status, "available_bytes": result.AvailableBytes, "pool": l.Pool},
	}
	addHint(n, result.Hint)
	switch notify {
	case domain.NotifyStorageUnreachable:
		n.Title, n.Message = "Storage location "+quoted(l.Name)+" does not work", "Backups can not be stored there. "+result.Message
	case domain.NotifyStorageFull:
		n.Title = "Storage location " + quoted(l.Name) + " is full"
		n.Message = "Too little is free for another backup. Give it more space, raise max_size_gb, or let a retention policy keep less. " + result.Message
	default:
		n.Title, n.Message = "Storage location "+quoted(l.Name)+" works again", "A probe was written and read back."
	}
	return n
}

// tellPool is what people are told of a pool that lost all its workers, or has some again.
func tellPool(pool string, notify domain.NotificationType) *db.Notification {
	if notify == "" {
		return nil
	}
	n := &db.Notification{Type: notify, Severity: domain.SeverityOf(notify), EntityType: domain.EntitySystem, Metadata: map[string]any{"pool": pool}}
	if notify == domain.NotifyConnectionRestored {
		n.Title, n.Message = "Pool "+quoted(pool)+" is served again", "A worker took its health check."
	} else {
		n.Title = "No worker serves pool " + quoted(pool)
		n.Message = "Nothing of this pool is backed up, restored or checked."
		addHint(n, "Start a worker with: dataguardian worker --pools "+pool)
	}
	return n
}

// tellOverdue is what people are told of a job that is overdue.
func tellOverdue(o db.OverdueJob, notify domain.NotificationType) *db.Notification {
	if notify == "" {
		return nil
	}
	last := "It never had a completed backup."
	if o.LastAt != nil {
		last = "Its last completed backup ended at " + o.LastAt.UTC().Format(time.RFC3339) + "."
	}
	return &db.Notification{
		Type: notify, Severity: domain.SeverityOf(notify), EntityType: domain.EntityBackupJob, EntityID: o.Job.ID,
		Title:   "Backup job " + quoted(o.Job.Name) + " is overdue",
		Message: last + " Twice the time between two of its runs has passed since.",
		Metadata: map[string]any{
			"job": o.Job.Name, "overdue_at": o.OverdueAt, "hint": "Look at its executions, and whether its schedule is paused or a worker of its pool is missing.",
		},
	}
}

// addHint tells what to do, in the place where templates look for it.
func addHint(n *db.Notification, hint string) {
	if hint != "" {
		n.Metadata["hint"] = hint
	}
}
