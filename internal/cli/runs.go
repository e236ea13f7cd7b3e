package cli

import "net/http"

// runResources are syncs and restore drills, and the runs of both.
func runResources() []resource {
	return []resource{
		syncResource(), runResource("sync-run", "run of a sync job", "sync", "/api/db-sync-executions", action{
			name: "retry", short: "Try a failed one again; a good backup of it is not made again", method: http.MethodPost, path: "/api/db-sync-executions/{id}/retry",
		}),
		drillResource(), runResource("drill-run", "run of a restore drill", "drill", "/api/restore-drill-executions"),
	}
}

func syncResource() resource {
	const path = "/api/db-sync-jobs"
	return resource{
		name: "sync", title: "sync job", aliases: []string{"syncs", "sync-job"}, path: path, naming: "name", verbs: usual,
		fields: []field{
			nameField,
			{flag: "source", path: "source_datasource_id", usage: "what is copied, by name or id", of: "datasource"},
			{flag: "target", path: "target_datasource_id", usage: "what is overwritten, by name or id", of: "datasource"},
			{flag: "storage", path: "storage_location_id", usage: "where the backup in between is, by name or id; left out: direct", of: "storage"},
			{flag: "cron", path: "schedule_cron", usage: "when, five fields"},
			{flag: "timezone", path: "schedule_timezone", usage: "of the schedule, an IANA name"},
			{flag: "drop-existing", path: "drop_existing", usage: "replace what is not empty", kind: boolField},
			{flag: "confirm", path: "confirmation_phrase", usage: "RESTORE and the name of what is overwritten"},
			enabledField,
		},
		columns: []column{
			{header: "ID", path: "id"}, {header: "NAME", path: "name"}, {header: "SOURCE", path: "source_datasource_id", of: "datasource"},
			{header: "TARGET", path: "target_datasource_id", of: "datasource"}, {header: "SCHEDULE", path: "schedule_cron"}, {header: "ENABLED", path: "enabled"},
			{header: "LAST", path: "last_execution_at"}, {header: "NEXT", path: "next_execution_at"},
		},
		actions: []action{{name: "run", short: "Sync now", method: http.MethodPost, path: path + "/{id}/run"}},
	}
}

func drillResource() resource {
	const path = "/api/restore-drill-jobs"
	return resource{
		name: "drill", title: "restore drill", aliases: []string{"drills", "drill-job"}, path: path, naming: "name", verbs: usual,
		fields: []field{
			nameField,
			{flag: "datasource", path: "datasource_id", usage: "whose backups are proved, by name or id", of: "datasource"},
			{flag: "target", path: "target_datasource_id", usage: "where, by name or id; left out: on the datasource", of: "datasource"},
			{flag: "cron", path: "schedule_cron", usage: "when, five fields"},
			{flag: "timezone", path: "schedule_timezone", usage: "of the schedule, an IANA name"},
			{flag: "max-age", path: "max_backup_age_hours", usage: "hours after which a backup is too old", kind: intField},
			enabledField,
		},
		columns: []column{
			{header: "ID", path: "id"}, {header: "NAME", path: "name"}, {header: "DATASOURCE", path: "datasource_id", of: "datasource"},
			{header: "TARGET", path: "target_datasource_id", of: "datasource"}, {header: "SCHEDULE", path: "schedule_cron"}, {header: "ENABLED", path: "enabled"},
			{header: "LAST", path: "last_execution_at"}, {header: "NEXT", path: "next_execution_at"},
		},
		actions: []action{
			{name: "run", short: "Prove the latest backup now", method: http.MethodPost, path: path + "/{id}/run"},
			{name: "times", short: "Show how long restores took", path: path + "/{id}/recovery-times", unpaged: true,
				columns: []column{{header: "AT", path: "at"}, {header: "SECONDS", path: "recovery_seconds"}, {header: "BACKUP", path: "backup_bytes", show: sized}}},
		},
	}
}

func runResource(name, title, job, path string, more ...action) resource {
	return resource{
		name: name, title: title, aliases: []string{name + "s"}, path: path, verbs: []string{list, get},
		filters: []field{
			{flag: "job", path: "job_id", usage: "of this job", of: job},
			{flag: "status", path: "status", values: []string{"queued", "running", "completed", "failed", "cancelled"}},
			{flag: "from", path: "from", usage: "begun then or later, RFC 3339"}, {flag: "to", path: "to", usage: "begun before then, RFC 3339"},
		},
		columns: []column{
			{header: "ID", path: "id"}, {header: "STATUS", path: "status"}, {header: "JOB", path: "job_id", of: job},
			{header: "STARTED", path: "started_at"}, {header: "FINISHED", path: "finished_at"}, {header: "ERROR", path: "error_message"},
		},
		actions: append([]action{
			{name: "logs", short: "Show its log", path: path + "/{id}/logs", unpaged: true,
				columns: []column{{header: "TIME", path: "time"}, {header: "LEVEL", path: "level"}, {header: "MESSAGE", path: "message"}}},
			{name: "cancel", short: "Stop it", method: http.MethodPost, path: path + "/{id}/cancel"},
		}, more...),
	}
}
