package auth

// Describe says in one line what a permission lets somebody do.
func Describe(p Permission) string { return descriptions[p] }

var descriptions = map[Permission]string{
	DashboardRead:         "See the overview",
	DatasourcesRead:       "See datasources and their schemas",
	DatasourcesWrite:      "Create, change and delete datasources",
	DatasourcesQuery:      "Run read-only SQL on datasources",
	StorageRead:           "See storage locations and the files on them",
	StorageWrite:          "Create, change and delete storage locations, copy and delete files on them",
	StorageDownload:       "Download files and backups",
	BackupJobsRead:        "See backup jobs",
	BackupJobsWrite:       "Create, change and delete backup jobs",
	BackupJobsRun:         "Run backup jobs by hand",
	DBSyncJobsRead:        "See sync jobs",
	DBSyncJobsWrite:       "Create, change and delete sync jobs",
	DBSyncJobsRun:         "Run sync jobs by hand",
	RestoreDrillJobsRead:  "See restore drills",
	RestoreDrillJobsWrite: "Create, change and delete restore drills",
	RestoreDrillJobsRun:   "Run restore drills by hand",
	BackupsRead:           "See backups and what can be restored where",
	BackupsRestore:        "Restore backups",
	BackupsRestoreVerify:  "Prove that backups restore, in a temporary database",
	ExecutionsRead:        "See backups and restores under way and done, with their logs",
	ExecutionsControl:     "Cancel, retry, pin and delete executions and their data",
	HealthRead:            "See the health of datasources and storage locations",
	NotificationsRead:     "See notifications",
	NotificationsManage:   "Mark and delete notifications, manage channels and templates",
	SystemRead:            "See settings, recovery keys and the configuration",
	SystemWrite:           "Change settings, recovery keys and the configuration",
	AuditRead:             "Read and export the audit trail",
	AccessManage:          "Manage users, roles, sessions and scopes",
}
