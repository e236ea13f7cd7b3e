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
