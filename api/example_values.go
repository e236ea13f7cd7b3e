package api

// requestExamples are bodies by operation. A test sends those that make something.
var requestExamples = map[string]string{ //nolint:gosec // made up for the document
	"auth-setup":           `{"email": "owner@example.com", "name": "Olga Owner", "password": "correct horse battery staple"}`,
	"auth-login":           `{"email": "owner@example.com", "password": "correct horse battery staple"}`,
	"change-password":      `{"current_password": "correct horse battery staple", "new_password": "four quite other words"}`,
	"oidc-token":           `{"code": "dgs_…", "code_verifier": "the secret whose hash was the code_challenge"}`,
	"create-token":         `{"name": "nightly report", "permissions": ["executions.read", "backups.read"], "expires_at": "2026-12-31T00:00:00Z"}`,
	"create-user":          `{"email": "ana@example.com", "name": "Ana", "password": "correct horse battery staple", "roles": ["operator"]}`,
	"update-user":          `{"is_active": false}`,
	"set-user-roles":       `{"roles": ["readonly"]}`,
	"create-role":          `{"name": "dba", "description": "Looks after the databases", "permissions": ["datasources.read", "datasources.query", "backups.read"]}`,
	"update-role":          `{"description": "Looks after the databases of the shop"}`,
	"set-role-permissions": `{"permissions": ["datasources.read", "backups.read"]}`,
	"create-scope":         `{"user_id": "` + exampleID + `", "permission": "backups.restore", "effect": "allow", "resource": "datasource", "tag": "shop"}`,
	"approve":              `{"note": "As agreed in the change of today"}`,
	"reject":               `{"note": "Not before the weekend"}`,

	"create-datasource": `{"name": "orders", "type": "postgres", "tags": ["shop"], "connection_config": {"host": "db.example.com", "port": 5432,
		"database": "orders", "username": "backup", "password": "a secret, never shown again", "ssl_mode": "require"}}`,
	"update-datasource":           `{"tags": ["shop", "production"], "connection_config": {"host": "db2.example.com", "password": "a secret, never shown again"}}`,
	"query-datasource":            `{"statement": "SELECT id, total FROM orders ORDER BY id DESC LIMIT 10"}`,
	"create-storage-location":     `{"name": "nas", "type": "local", "config": {"path": "/srv/backups", "max_size_gb": 500}}`,
	"update-storage-location":     `{"is_default": true}`,
	"test-storage-location-draft": `{"type": "local", "config": {"path": "/srv/backups"}}`,
	"copy-storage-file":           `{"from": "reports/march.pdf", "to": "reports/2026/march.pdf"}`,
	"import-storage-location":     `{"dry_run": true}`,
	"reconcile-storage-location":  `{"dry_run": true}`,

	"create-backup-job": `{"name": "orders nightly", "datasource_id": "` + exampleID + `", "storage_location_id": "` + exampleID + `",
		"schedule_cron": "0 3 * * *", "schedule_timezone": "Europe/Berlin", "retention_policy": {"max_backups": 3, "auto_delete": true},
		"backup_options": {"compression": "zstd", "verify": "quick"}}`,
	"update-backup-job": `{"schedule_cron": "30 2 * * *", "enabled": true}`,
	"preview-retention": `{"retention_policy": {"keep_daily": 7, "keep_weekly": 4, "auto_delete": true}, "schedule_timezone": "Europe/Berlin"}`,
	"run-backup-job":    `{"backup_options": {"backup_type": "full", "verify": "full"}}`,
	"pin-execution":     `{"pinned": true}`,
	"verify-execution":  `{"mode": "full"}`,
	"restore-backup":    `{"target_datasource_id": "` + exampleID + `", "verification_mode": true, "confirmation_phrase": "VERIFY RESTORE"}`,
	"create-sync-job": `{"name": "orders to staging", "source_datasource_id": "` + exampleID + `", "target_datasource_id": "` + exampleID + `",
		"storage_location_id": "` + exampleID + `", "overwrite_direction": "source_to_target", "confirmation_phrase": "RESTORE staging"}`,
	"update-sync-job": `{"enabled": false}`,
	"create-drill-job": `{"name": "orders can be restored", "datasource_id": "` + exampleID + `", "schedule_cron": "@weekly", "max_backup_age_hours": 48,
		"drill_options": {"assertions": [{"name": "there are orders", "sql": "SELECT count(*) > 0 FROM orders"}]}}`,
	"update-drill-job": `{"max_backup_age_hours": 26}`,

	"create-notification-channel": `{"name": "on call", "type": "smtp", "config": {"host": "smtp.example.com", "port": 587, "encryption": "starttls",
		"username": "backup@example.com", "password": "a secret, never shown again", "from": "backup@example.com", "to": ["oncall@example.com"]}}`,
	"update-notification-channel": `{"enabled": false}`,
	"create-notification-template": `{"channel": "smtp", "type": "backup_failed", "subject": "{{.Title}}",
		"body": "{{.Message}}", "activate": false}`,
	"preview-notification-template": `{"channel": "smtp", "type": "backup_failed", "subject": "{{.Title}}", "body": "{{.Message}}"}`,
	"read-all-notifications":        `{"until": "` + exampleTime + `"}`,

	"add-recipient":    `{"name": "the vault", "recipient": "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"}`,
	"import-identity":  `{"name": "the installation before this one", "identity": "AGE-SECRET-KEY-1…"}`,
	"update-settings":  `{"health.interval_seconds": 120}`,
	"replace-settings": `{"health.interval_seconds": 120}`,
	"apply-config": `datasources:
  - name: orders
    type: postgres
    connection_config: {host: db.example.com, database: orders, username: backup, password: a secret}
storage_locations:
  - name: nas
    type: local
    config: {path: /srv/backups}
backup_jobs:
  - name: orders nightly
    datasource: orders
    storage_location: nas
    schedule_cron: "0 3 * * *"
`,
}

// streamExamples are the beginnings of answers that are no JSON.
var streamExamples = map[string]string{
	ndjson: `{"id":"` + exampleID + `","actor_id":null,"actor_name":"owner@example.com","action":"datasource.update","resource":"datasource",` +
		`"resource_id":"` + exampleID + `","ip":"192.0.2.7","user_agent":"curl/8.5.0","request_id":"` + exampleID + `","changes":{"before":{"name":"a"},"after":{"name":"b"}},"created_at":"` + exampleTime + "\"}\n",
	"application/yaml":         requestExamples["apply-config"],
	"application/octet-stream": "PGDMP…",
	"application/zip":          "PK…",
	"application/x-tar":        "orders.dump…",
}

// componentExamples are documents that have a field for everything that any type needs.
var componentExamples = map[string]any{
	"ConnectionConfig": map[string]any{"host": "db.example.com", "port": 5432, "database": "orders", "username": "backup", "password": "********", "ssl_mode": "require"},
	"StorageConfig":    map[string]any{"path": "/srv/backups", "max_size_gb": 500},
	"ChannelConfig": map[string]any{"host": "smtp.example.com", "port": 587, "encryption": "starttls", "username": "backup@example.com", "password": "********",
		"from": "backup@example.com", "to": []any{"oncall@example.com"}},
	"BackupOptions":   map[string]any{"backup_type": "full", "compression": "zstd", "encryption": true, "verify": "quick"},
	"RetentionPolicy": map[string]any{"max_backups": 3, "auto_delete": true},
}

// failureFields say what went wrong.
var failureFields = map[string]bool{
	"error": true, "error_message": true, "error_class": true, "error_hint": true, "hint": true, "warning": true, "warnings": true, "reason": true, "problem": true, "deleting_at": true,
	"full_reason": true, "errors": true, "holders": true, "skipped": true,
}

// falseFields are what most things are not.
var falseFields = map[string]bool{"owner": true, "setup_needed": true, "dry_run": true, "deleting": true, "damaged": true, "overdue": true, "more": true, "truncated": true, "drop_existing": true}

// numberExamples are numbers by the name of their field.
var numberExamples = map[string]float64{
	"port": 5432, "size_bytes": 1288490188, "compressed_size_bytes": 214748364, "bytes": 1288490188, "chunks": 1180, "latency_ms": 4, "version": 3, "success_rate": 0.98,
	"available_space_gb": 412.5, "duration_seconds": 61, "rows": 120000, "limit": 50, "recovery_seconds": 74,
}

// textExamples are texts by the name of their field.
var textExamples = map[string]string{
	"name": "orders", "email": "ana@example.com", "actor_name": "ana@example.com", "actor": "ana@example.com", "token": "dgs_…", "next_cursor": "", "cursor": "", "pool": "default",
	"schedule_cron": "0 3 * * *", "cron": "0 3 * * *", "schedule_timezone": "Europe/Berlin", "time_zone": "Europe/Berlin", "path": "/srv/backups", "ip": "192.0.2.7",
	"user_agent": "curl/8.5.0", "request_id": exampleID, "host": "db.example.com", "database": "orders", "target_database": "orders", "username": "backup", "password": "********", "tag": "shop",
	"message": "Backup of orders completed", "title": "Backup completed", "temporal_url": "http://127.0.0.1:8233/namespaces/default/workflows/backup-" + exampleID,
	"workflow_id": "backup-" + exampleID, "server_version": "17.2", "phase": "dumping", "level": "info", "action": "datasource.update", "resource": "datasource",
	"permission": "backups.restore", "role": "operator", "checksum": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	"manifest_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "recipient": "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
	"time": exampleTime, "day": "2026-03-01", "subject": "Backup of orders completed", "body": "Backup of orders completed.", "key": "health.interval_seconds", "unit": "seconds",
}
