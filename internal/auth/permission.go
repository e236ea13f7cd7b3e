// Package auth holds what access control decides on: permissions and system roles as a pure table,
// password hashes, session tokens, and the throttle in front of the sign-in. It stores nothing.
package auth

import "slices"

// Permission is one thing that a role may grant, written resource.action.
type Permission string

// The permissions.
const (
	DashboardRead Permission = "dashboard.read"

	DatasourcesRead  Permission = "datasources.read"
	DatasourcesWrite Permission = "datasources.write"
	DatasourcesQuery Permission = "datasources.query"

	StorageRead     Permission = "storage.read"
	StorageWrite    Permission = "storage.write"
	StorageDownload Permission = "storage.download"

	BackupJobsRead  Permission = "backup_jobs.read"
	BackupJobsWrite Permission = "backup_jobs.write"
	BackupJobsRun   Permission = "backup_jobs.run"

	DBSyncJobsRead  Permission = "db_sync_jobs.read"
	DBSyncJobsWrite Permission = "db_sync_jobs.write"
	DBSyncJobsRun   Permission = "db_sync_jobs.run"

	RestoreDrillJobsRead  Permission = "restore_drill_jobs.read"
	RestoreDrillJobsWrite Permission = "restore_drill_jobs.write"
	RestoreDrillJobsRun   Permission = "restore_drill_jobs.run"

	BackupsRead          Permission = "backups.read"
	BackupsRestore       Permission = "backups.restore"
	BackupsRestoreVerify Permission = "backups.restore_verify"

	ExecutionsRead    Permission = "executions.read"
	ExecutionsControl Permission = "executions.control"

	HealthRead Permission = "health.read"

	NotificationsRead   Permission = "notifications.read"
	NotificationsManage Permission = "notifications.manage"

	SystemRead  Permission = "system.read"
	SystemWrite Permission = "system.write"

	AuditRead    Permission = "audit.read"
	AccessManage Permission = "access.manage"
)

// Permissions lists every permission, in the order in which people read them.
func Permissions() []Permission {
	return []Permission{
		DashboardRead,
		DatasourcesRead, DatasourcesWrite, DatasourcesQuery,
		StorageRead, StorageWrite, StorageDownload,
		BackupJobsRead, BackupJobsWrite, BackupJobsRun,
		DBSyncJobsRead, DBSyncJobsWrite, DBSyncJobsRun,
		RestoreDrillJobsRead, RestoreDrillJobsWrite, RestoreDrillJobsRun,
		BackupsRead, BackupsRestore, BackupsRestoreVerify,
		ExecutionsRead, ExecutionsControl,
		HealthRead,
		NotificationsRead, NotificationsManage,
		SystemRead, SystemWrite,
		AuditRead, AccessManage,
	}
}

// Known reports whether p is a permission of this version.
func Known(p Permission) bool { return slices.Contains(Permissions(), p) }

// Grants is the set of permissions that somebody holds.
type Grants map[Permission]struct{}

// NewGrants makes a set of the permissions named; names of no permission of this version are left
// out, so that a row written by a newer version grants nothing here.
func NewGrants(names []string) Grants {
	grants := make(Grants, len(names))
	for _, name := range names {
		if p := Permission(name); Known(p) {
			grants[p] = struct{}{}
		}
	}
	return grants
}

// Allows reports whether any one of the alternatives is granted. No alternative is never allowed:
// a check that names nothing must not let everybody in.
func (g Grants) Allows(alternatives ...Permission) bool {
	for _, p := range alternatives {
		if _, held := g[p]; held {
			return true
		}
	}
	return false
}

// List gives the granted permissions in the order of Permissions.
func (g Grants) List() []Permission {
	out := make([]Permission, 0, len(g))
	for _, p := range Permissions() {
		if g.Allows(p) {
			out = append(out, p)
		}
	}
	return out
}
