package domain

// NotificationType is what happened.
type NotificationType string

// The notification types.
const (
	NotifyBackupSuccess      NotificationType = "backup_success"
	NotifyBackupFailed       NotificationType = "backup_failed"
	NotifyConnectionLost     NotificationType = "connection_lost"
	NotifyConnectionRestored NotificationType = "connection_restored"
	NotifyStorageFull        NotificationType = "storage_full"
	NotifyStorageUnreachable NotificationType = "storage_unreachable"
	NotifyHealthDegraded     NotificationType = "health_degraded"
	NotifyCleanupCompleted   NotificationType = "cleanup_completed"

	NotifyRestoreSuccess      NotificationType = "restore_success"
	NotifyRestoreFailed       NotificationType = "restore_failed"
	NotifySyncFailed          NotificationType = "sync_failed"
	NotifySyncRecovered       NotificationType = "sync_recovered" // a sync that had failed succeeds again
	NotifyRestoreDrillSuccess NotificationType = "restore_drill_success"
	NotifyRestoreDrillFailed  NotificationType = "restore_drill_failed"
)

// Severity says how much a notification matters.
type Severity string

// The severities.
const (
	SeverityInfo     Severity = "info"
	SeverityWarning  Severity = "warning"
	SeverityCritical Severity = "critical"
)

// EntityType is what kind of thing a notification is about.
type EntityType string

// The entity types.
const (
	EntityDatasource      EntityType = "datasource"
	EntityBackupJob       EntityType = "backup_job"
	EntitySyncJob         EntityType = "database_sync_job"
	EntityDrillJob        EntityType = "restore_drill_job"
	EntityStorageLocation EntityType = "storage_location"
	EntitySystem          EntityType = "system"
)

// NotificationTypes lists every type.
func NotificationTypes() []NotificationType {
	return []NotificationType{
		NotifyBackupSuccess, NotifyBackupFailed, NotifyConnectionLost, NotifyConnectionRestored, NotifyStorageFull,
		NotifyStorageUnreachable, NotifyHealthDegraded, NotifyCleanupCompleted, NotifyRestoreSuccess, NotifyRestoreFailed,
		NotifySyncFailed, NotifySyncRecovered, NotifyRestoreDrillSuccess, NotifyRestoreDrillFailed,
	}
}

// Severities lists them, the least first.
func Severities() []Severity { return []Severity{SeverityInfo, SeverityWarning, SeverityCritical} }

// rank orders severities; what is unknown matters most, so that nothing is held back by mistake.
func (s Severity) rank() int {
	for i, known := range Severities() {
		if s == known {
			return i
		}
	}
	return len(Severities())
}

// AtLeast reports whether s matters as much as other, or more.
func (s Severity) AtLeast(other Severity) bool { return s.rank() >= other.rank() }

// SeverityOf is how much a notification of the type usually matters.
func SeverityOf(t NotificationType) Severity {
	switch t {
	case NotifyBackupFailed, NotifyConnectionLost, NotifyStorageFull, NotifyStorageUnreachable, NotifyRestoreFailed,
		NotifySyncFailed, NotifyRestoreDrillFailed:
		return SeverityCritical
	case NotifyHealthDegraded:
		return SeverityWarning
	default:
		return SeverityInfo
	}
}

// MetadataCondition is the member of a notification's metadata that names the condition of which it tells a change, as
// that a datasource answers: changes that come too often are collapsed.
const MetadataCondition = "condition"

// IsState reports whether the type tells a state that lasts until another type about the same entity ends it,
// rather than an event: what says the same state again is no news.
func (t NotificationType) IsState() bool {
	switch t {
	case NotifyConnectionLost, NotifyConnectionRestored, NotifyStorageFull, NotifyStorageUnreachable:
		return true
	default:
		return false
	}
}
