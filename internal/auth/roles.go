package auth

import "strings"

// The system roles. They exist in every installation and cannot be edited.
const (
	RoleAdmin    = "admin"
	RoleOperator = "operator"
	RoleReadonly = "readonly"
)

// SystemRoles is the whole role table: admin holds everything; operator reads, runs, restores,
// controls executions, downloads, queries and manages notifications, but writes no configuration;
// readonly reads. The audit trail is left to admins: it names what other people did.
func SystemRoles() map[string][]Permission {
	readonly := reads()
	operator := append(reads(),
		BackupJobsRun, DBSyncJobsRun, RestoreDrillJobsRun,
		BackupsRestore, BackupsRestoreVerify,
		ExecutionsControl,
		StorageDownload, DatasourcesQuery,
		NotificationsManage,
	)
	return map[string][]Permission{RoleAdmin: Permissions(), RoleOperator: operator, RoleReadonly: readonly}
}

// RoleNames is SystemRoles in plain strings, the form in which the database seeds it.
func RoleNames() map[string][]string {
	out := make(map[string][]string)
	for role, permissions := range SystemRoles() {
		for _, p := range permissions {
			out[role] = append(out[role], string(p))
		}
	}
	return out
}

func reads() []Permission {
	var out []Permission
	for _, p := range Permissions() {
		if strings.HasSuffix(string(p), ".read") && p != AuditRead {
			out = append(out, p)
		}
	}
	return out
}
