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
	EntityStorageLocation EntityType = "storage_location"
	EntitySystem          EntityType = "system"
)
