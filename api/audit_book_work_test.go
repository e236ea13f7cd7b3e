package api

import (
	"context"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// ends are what is backed up and where to.
func (b *book) ends() map[string]func() attempt {
	const datasources, storages = "/api/datasources", "/api/storage-locations"
	datasource := func() string { return b.made(datasources, datasourceBody(b.name())) }
	storage := func() string { return b.made(storages, storageBody(b.name())) }
	on := func(path string, body any, action string) func() attempt {
		return func() attempt {
			id := storage()
			return attempt{path: storages + "/" + id + path, body: body, entries: one("storage_location."+action, "storage_location"), about: id}
		}
	}
	return map[string]func() attempt{
		"create-datasource": func() attempt {
			return attempt{path: datasources, body: datasourceBody(b.name()), entries: one("datasource.create", "datasource")}
		},
		"update-datasource": func() attempt {
			return attempt{path: datasources + "/" + datasource(), body: object{"connection_config": object{"password": "a quite new password"}}, entries: one("datasource.update", "datasource")}
		},
		"delete-datasource": func() attempt {
			id := datasource()
			return attempt{path: datasources + "/" + id, entries: one("datasource.delete", "datasource"), about: id}
		},
		"test-datasource": func() attempt {
			id := datasource()
			return attempt{path: datasources + "/" + id + "/test", entries: one("datasource.test", "datasource"), about: id}
		},
		"query-datasource": func() attempt {
			id := datasource()
			return attempt{path: datasources + "/" + id + "/query", body: object{"statement": "ALTER USER x PASSWORD '" + dbPassword + "'"}, entries: one("datasource.query", "datasource"), about: id}
		},
		"create-storage-location": func() attempt {
			return attempt{path: storages, body: storageBody(b.name()), entries: one("storage_location.create", "storage_location")}
		},
		"update-storage-location": on("", object{"is_default": true}, "update"),
		"delete-storage-location": on("", nil, "delete"),
		"test-storage-location":   on("/test", nil, "test"),
		"test-storage-location-draft": func() attempt {
			return attempt{path: storages + "/test", body: object{"type": "local", "config": object{"path": "/srv/backups"}}, entries: one("storage_location.test_draft", "storage_location"), about: "-"}
		},
		"copy-storage-file":          on("/files/copy", object{"from": "a", "to": "b"}, "copy_file"),
		"delete-storage-files":       on("/files?path=a", nil, "delete_files"),
		"download-storage-file":      on("/files/download?path=a", nil, "download"),
		"import-storage-location":    on("/import", object{"dry_run": true}, "import"),
		"reconcile-storage-location": on("/reconcile", object{"dry_run": false}, "reconcile"),
	}
}

// syncJob is a sync job of its own.
func (b *book) syncJob() string {
	b.t.Helper()
	_, source, storage := b.job()
	into := b.name()
	return b.made("/api/db-sync-jobs", syncBody(source, b.at(into, into+".example.com", "orders"), storage, into))
}

func (b *book) drillJob() string {
	b.t.Helper()
	_, datasource, _ := b.job()
	return b.made("/api/restore-drill-jobs", object{"name": b.name(), "datasource_id": datasource, "schedule_cron": "@weekly", "max_backup_age_hours": 24})
}

func (b *book) run(path string) string {
	b.t.Helper()
	return b.call("POST", path+"/run", nil).ok(202).get("id").(string)
}

func (b *book) jobs() map[string]func() attempt {
	const jobs, syncs, drills = "/api/backup-jobs", "/api/db-sync-jobs", "/api/restore-drill-jobs"
	on := func(path string, make func() string, under string, body any, action, resource string) func() attempt {
		return func() attempt {
			id := make()
			return attempt{path: path + "/" + id + under, body: body, entries: one(action, resource), about: id}
		}
	}
	job := func() string { id, _, _ := b.job(); return id }
	canceled := func(jobs string, make func() string, runs, resource string) func() attempt {
		return func() attempt {
			id := b.run(jobs + "/" + make())
			return attempt{path: runs + "/" + id + "/cancel", entries: one(resource+".cancel", resource), about: id}
		}
	}
	return map[string]func() attempt{
		"create-backup-job": func() attempt {
			_, datasource, storage := b.job()
			return attempt{path: jobs, body: object{"name": b.name(), "datasource_id": datasource, "storage_location_id": storage, "schedule_cron": "0 3 * * *"}, entries: one("backup_job.create", "backup_job")}
		},
		"update-backup-job": on(jobs, job, "", object{"schedule_cron": "0 4 * * *"}, "backup_job.update", "backup_job"),
		"delete-backup-job": on(jobs, job, "", nil, "backup_job.delete", "backup_job"),
		"test-backup-job":   on(jobs, job, "/test", nil, "backup_job.test", "backup_job"),
		"run-backup-job":    on(jobs, job, "/run", nil, "backup_job.run", "backup_job"),
		"preview-retention": func() attempt {
			return attempt{path: jobs + "/" + job() + "/retention/preview", body: object{"retention_policy": object{"max_backups": 1, "auto_delete": true}}}
		},
		"create-sync-job": func() attempt {
			_, source, storage := b.job()
			into := b.name()
			return attempt{path: syncs, body: with(with(syncBody(source, b.at(into, into+".example.com", "orders"), storage, into), "0 3 * * *", "schedule_cron"), true, "drop_existing"), entries: one("db_sync_job.create", "db_sync_job")}
		},
		"update-sync-job":       on(syncs, b.syncJob, "", object{"enabled": false}, "db_sync_job.update", "db_sync_job"),
		"delete-sync-job":       on(syncs, b.syncJob, "", nil, "db_sync_job.delete", "db_sync_job"),
		"run-sync-job":          on(syncs, b.syncJob, "/run", nil, "db_sync_job.run", "db_sync_job"),
		"cancel-sync-execution": canceled(syncs, b.syncJob, "/api/db-sync-executions", "sync_execution"),
		"retry-sync-execution": func() attempt {
			job := b.syncJob()
			id := b.run(syncs + "/" + job)
			_, err := b.db.FinishRun(context.Background(), db.RunSync, id, db.Finish{Status: domain.Failed}, 0, "")
			require.NoError(b.t, err)
			return attempt{path: "/api/db-sync-executions/" + id + "/retry", entries: one("db_sync_job.run", "db_sync_job"), about: job}
		},
		"create-drill-job": func() attempt {
			_, datasource, _ := b.job()
			return attempt{path: drills, body: object{"name": b.name(), "datasource_id": datasource, "schedule_cron": "@weekly", "max_backup_age_hours": 24}, entries: one("restore_drill_job.create", "restore_drill_job")}
		},
		"update-drill-job":       on(drills, b.drillJob, "", object{"max_backup_age_hours": 26, "schedule_cron": "@daily"}, "restore_drill_job.update", "restore_drill_job"),
		"delete-drill-job":       on(drills, b.drillJob, "", nil, "restore_drill_job.delete", "restore_drill_job"),
		"run-drill-job":          on(drills, b.drillJob, "/run", nil, "restore_drill_job.run", "restore_drill_job"),
		"cancel-drill-execution": canceled(drills, b.drillJob, "/api/restore-drill-executions", "drill_execution"),
	}
}

// executions are what is done to executions and backups.
func (b *book) executions() map[string]func() attempt {
	const executions = "/api/executions/"
	on := func(make func() string, under string, body any, action string) func() attempt {
		return func() attempt {
			id := make()
			return attempt{path: executions + id + under, body: body, entries: one("execution."+action, "execution"), about: id}
		}
	}
	running := func() string { job, _, _ := b.job(); return b.run("/api/backup-jobs/" + job) }
	failed := func() string {
		id := running()
		require.NoError(b.t, b.db.FinishExecution(context.Background(), id, db.Finish{Status: domain.Failed}))
		return id
	}
	replicated := func() string {
		job, datasource, storage := b.job()
		return b.replicatedOf(job, datasource, storage, b.made("/api/storage-locations", storageBody(b.name())))
	}
	return map[string]func() attempt{
		"cancel-execution": on(running, "/cancel", nil, "cancel"),
		"retry-execution":  on(failed, "/retry", nil, "retry"),
		"retry-upload":     on(replicated, "/retry-upload", nil, "retry_upload"),
		"pin-execution":    on(b.backup, "/pin", object{"pinned": true}, "pin"),
		"verify-execution": on(b.backup, "/verify", object{"mode": "quick"}, "verify"),
		"delete-execution": on(b.backup, "", nil, "delete"),
		"download-backup": func() attempt {
			id := b.backup()
			return attempt{path: "/api/backups/" + id + "/download", entries: one("backup.download", "execution"), about: id}
		},
		"restore-backup": func() attempt {
			job, datasource, storage := b.job()
			id := b.completed(job, datasource, storage)
			return attempt{path: "/api/backups/" + id + "/restore", body: object{"target_datasource_id": datasource, "verification_mode": true, "confirmation_phrase": "VERIFY RESTORE"},
				entries: one("backup.restore", "execution"), about: id}
		},
	}
}
