package api

import (
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// fillCatalogue makes the executions and what they are of: %[1]d datasources, %[2]d jobs, %[3]d executions. Job 7, between datasource 7
// and storage location 7, has every sixteenth of them; that is a thousand pages of one job, one datasource and one location.
const fillCatalogue = `
	ALTER TABLE backup_executions DISABLE TRIGGER backup_executions_notify;
	INSERT INTO datasources (id, name, type, tags, connection_config)
	SELECT gen_random_uuid(), 'datasource ' || n, 'postgres', ARRAY['tag' || n %% 10],
	       jsonb_build_object('host', 'db' || n || '.example.com', 'port', 5432, 'database', 'orders', 'username', 'backup', 'ssl_mode', 'require')
	FROM generate_series(1, %[1]d) n;
	INSERT INTO storage_locations (id, name, type, config)
	SELECT gen_random_uuid(), 'storage ' || n, 'local', jsonb_build_object('path', '/srv/' || n) FROM generate_series(1, 1100) n;
	UPDATE datasources SET created_at = now() - random() * interval '400 days';
	UPDATE storage_locations SET created_at = now() - random() * interval '400 days';
	CREATE TEMPORARY TABLE d AS SELECT row_number() OVER (ORDER BY id) - 1 AS n, id FROM datasources;
	CREATE TEMPORARY TABLE s AS SELECT row_number() OVER (ORDER BY id) - 1 AS n, id FROM storage_locations;
	INSERT INTO backup_jobs (id, name, datasource_id, storage_location_id, schedule_cron, retention_policy, backup_options, created_at)
	SELECT gen_random_uuid(), 'job ' || j, d.id, s.id, (j %% 60) || ' ' || (j %% 24) || ' * * *', '{"max_backups": 3, "auto_delete": true}', '{"verify": "quick"}', now() - random() * interval '400 days'
	FROM generate_series(1, %[2]d) j JOIN d ON d.n = j %% %[1]d JOIN s ON s.n = j %% 1100;
	CREATE TEMPORARY TABLE jobs AS SELECT substring(name FROM 5)::int %% %[2]d AS n, id, datasource_id, storage_location_id FROM backup_jobs;
	INSERT INTO backup_executions (id, job_id, datasource_id, storage_location_id, status, size_bytes, compressed_size_bytes, started_at, finished_at,
	                               generation, metadata, created_at)
	SELECT x.id, jobs.id, jobs.datasource_id, jobs.storage_location_id, x.status::execution_status, 1e9, 4e8, x.at, x.at + interval '5 minutes', lpad(to_hex(x.e), 8, '0'),
	       jsonb_build_object('operation', CASE WHEN x.e %% 16 = 3 THEN 'restore' ELSE 'backup' END, 'trigger', 'schedule', 'workflow_id', 'backup-' || x.id,
	                          'actor', 'scheduler', 'manifest_path', repeat('m', 80), 'manifest_sha256', repeat('0', 64), 'options', '{"verify": "quick"}'::jsonb), x.at
	FROM (SELECT e, gen_random_uuid() AS id, CASE WHEN e %% 18 = 5 THEN 'failed' ELSE 'completed' END AS status,
	             now() - random() * interval '400 days' AS at FROM generate_series(1, %[3]d) e) x
	JOIN jobs ON jobs.n = CASE WHEN x.e %% 16 = 0 THEN 7 ELSE x.e %% %[2]d END;
	ALTER TABLE backup_executions ENABLE TRIGGER backup_executions_notify;`

// fillOthers makes what the other lists show: each has a thousand pages at least, where it is not tied to the number of
// datasources and jobs. %[1]d datasources, %[2]d jobs, %[3]d executions.
const fillOthers = `
	ALTER TABLE database_sync_executions DISABLE TRIGGER USER;
	ALTER TABLE restore_drill_executions DISABLE TRIGGER USER;
	ALTER TABLE notifications DISABLE TRIGGER USER;
	ALTER TABLE notification_deliveries DISABLE TRIGGER USER;
	INSERT INTO database_sync_jobs (id, name, source_datasource_id, target_datasource_id, storage_location_id, schedule_cron, created_at)
	SELECT gen_random_uuid(), 'sync ' || j, a.id, b.id, s.id, (j %% 60) || ' 4 * * *', now() - random() * interval '400 days'
	FROM generate_series(1, %[2]d) j JOIN d a ON a.n = j %% %[1]d JOIN d b ON b.n = (j + 1) %% %[1]d JOIN s ON s.n = j %% 1100;
	INSERT INTO restore_drill_jobs (id, name, datasource_id, target_datasource_id, schedule_cron, max_backup_age_hours, created_at)
	SELECT gen_random_uuid(), 'drill ' || j, a.id, a.id, (j %% 60) || ' 5 * * *', 48, now() - random() * interval '400 days'
	FROM generate_series(1, %[2]d) j JOIN d a ON a.n = j %% %[1]d;
	UPDATE restore_drill_jobs SET backup_job_id = jobs.id FROM jobs WHERE jobs.n = 7 AND restore_drill_jobs.datasource_id = jobs.datasource_id;
	CREATE TEMPORARY TABLE syncs AS SELECT row_number() OVER (ORDER BY id) - 1 AS n, id, source_datasource_id, target_datasource_id, storage_location_id FROM database_sync_jobs;
	CREATE TEMPORARY TABLE drills AS SELECT row_number() OVER (ORDER BY id) - 1 AS n, id FROM restore_drill_jobs;
	INSERT INTO database_sync_executions (id, sync_job_id, status, overwrite_direction, started_at, finished_at, metadata, created_at)
	SELECT gen_random_uuid(), syncs.id, CASE WHEN x.e %% 18 = 5 THEN 'failed' ELSE 'completed' END::execution_status, 'source_to_target', x.at, x.at,
	       CASE WHEN x.e %% 18 = 5 THEN '{"trigger": "schedule"}' ELSE jsonb_build_object('trigger', 'schedule', 'sync', jsonb_build_object('from_datasource_id', syncs.source_datasource_id,
	            'into_datasource_id', syncs.target_datasource_id, 'storage_location_id', syncs.storage_location_id)) END, x.at
	FROM (SELECT e, now() - random() * interval '400 days' AS at FROM generate_series(1, %[3]d / 10) e) x JOIN syncs ON syncs.n = CASE WHEN x.e %% 16 = 0 THEN 7 ELSE x.e %% %[2]d END;
	INSERT INTO restore_drill_executions (id, drill_job_id, status, started_at, finished_at, metadata, created_at)
	SELECT gen_random_uuid(), drills.id, CASE WHEN x.e %% 18 = 5 THEN 'failed' ELSE 'completed' END::execution_status, x.at, x.at, '{"trigger": "schedule"}', x.at
	FROM (SELECT e, now() - random() * interval '400 days' AS at FROM generate_series(1, %[3]d / 10) e) x JOIN drills ON drills.n = CASE WHEN x.e %% 16 = 0 THEN 7 ELSE x.e %% %[2]d END;
	INSERT INTO notifications (id, type, severity, entity_type, entity_id, title, message, metadata, created_at, dispatched_at, read_at)
	SELECT gen_random_uuid(), CASE WHEN x.e %% 18 = 5 THEN 'backup_failed' ELSE 'backup_success' END::notification_type,
	       CASE WHEN x.e %% 18 = 5 THEN 'critical' ELSE 'info' END::notification_severity, 'backup_job', jobs.id, 'Backup of orders ended', repeat('x', 80), jsonb_build_object('datasource', 'orders', 'execution_id', gen_random_uuid()), x.at, x.at,
	       CASE WHEN x.e %% 18 = 6 THEN NULL ELSE x.at END
	FROM (SELECT e, now() - random() * interval '400 days' AS at FROM generate_series(1, %[3]d / 10) e) x JOIN jobs ON jobs.n = CASE WHEN x.e %% 16 = 0 THEN 7 ELSE x.e %% %[2]d END;
	INSERT INTO notification_channels (id, name, type, config, created_at)
	SELECT gen_random_uuid(), 'channel ' || n, 'webhook', jsonb_build_object('url', 'https://example.com/' || n), now() - random() * interval '400 days' FROM generate_series(1, %[3]d / 18) n;
	INSERT INTO notification_deliveries (id, notification_id, channel_id, channel_name, channel_type, status, finished_at, created_at)
	SELECT gen_random_uuid(), n.id, c.id, 'channel', 'webhook', CASE WHEN n.n %% 18 = 5 THEN 'failed' ELSE 'sent' END, n.created_at, n.created_at
	FROM (SELECT id, created_at, row_number() OVER () AS n FROM notifications) n
	JOIN (SELECT id, row_number() OVER () - 1 AS n FROM notification_channels) c ON c.n = CASE WHEN n.n %% 16 = 0 THEN 7 ELSE n.n %% (%[3]d / 18) END;
	INSERT INTO notification_templates (id, channel, type, version, body, created_at)
	SELECT gen_random_uuid(), 'webhook', 'backup_success', n, 'text', now() - random() * interval '400 days' FROM generate_series(1, %[3]d / 18) n;
	INSERT INTO health_checks (id, datasource_id, status, latency_ms, server_version, checked_at)
	SELECT gen_random_uuid(), d.id, 'ok', 3, '15.18', now() - random() * interval '30 days' FROM generate_series(1, %[3]d / 10) e JOIN d ON d.n = e %% %[1]d;
	INSERT INTO health_checks (id, datasource_id, status, latency_ms, server_version, checked_at)
	SELECT gen_random_uuid(), d.id, 'ok', 3, '15.18', now() - random() * interval '30 days' FROM generate_series(1, %[3]d / 18) e, d WHERE d.n = 7;
	INSERT INTO storage_health_checks (id, storage_location_id, status, location_status, latency_ms, used_bytes, available_space_gb, checked_at)
	SELECT gen_random_uuid(), s.id, 'ok', 'healthy', 3, e * 1e6, 500, now() - random() * interval '30 days' FROM generate_series(1, %[3]d / 10) e JOIN s ON s.n = e %% 1100;
	INSERT INTO storage_health_checks (id, storage_location_id, status, location_status, latency_ms, used_bytes, available_space_gb, checked_at)
	SELECT gen_random_uuid(), s.id, 'ok', 'healthy', 3, e * 1e6, 500, now() - random() * interval '30 days' FROM generate_series(1, %[3]d / 18) e, s WHERE s.n = 7;
	INSERT INTO health_states (entity_type, entity_id) SELECT 'datasource', id::text FROM d UNION ALL SELECT 'storage_location', id::text FROM s UNION ALL
	SELECT 'backup_job', id::text FROM jobs UNION ALL SELECT 'pool', 'default';
	INSERT INTO backup_job_retention (job_id, run_id, result) SELECT id, 'run', '{"at": "2026-01-01T00:00:00Z", "kept": 3, "removed": 1, "bytes": 400000000}' FROM jobs;
	INSERT INTO users (id, email, created_at) SELECT gen_random_uuid(), 'user' || n || '@example.com', now() - random() * interval '400 days' FROM generate_series(1, %[3]d / 18) n;
	INSERT INTO roles (id, name, created_at) SELECT gen_random_uuid(), 'role ' || n, now() - random() * interval '400 days' FROM generate_series(1, %[3]d / 18) n;
	INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM (SELECT id, row_number() OVER () AS n FROM users WHERE NOT is_owner) u
	JOIN (SELECT id, row_number() OVER () AS n FROM roles WHERE NOT is_system) r ON r.n = u.n;
	INSERT INTO role_permissions (role_id, permission_id) SELECT r.id, p.id FROM roles r, permissions p WHERE NOT r.is_system AND p.name IN ('datasources.read', 'backups.read', 'health.read');
	INSERT INTO access_scopes (id, user_id, permission, effect, resource, tag, created_at)
	SELECT gen_random_uuid(), u.id, '*', 'allow', 'datasource', 'tag1', now() - random() * interval '400 days' FROM users u WHERE NOT is_owner;
	INSERT INTO access_scopes (id, role_id, permission, effect, resource, tag) SELECT gen_random_uuid(), r.id, '*', 'allow', 'datasource', 'tag1' FROM roles r WHERE name = 'role 7';
	UPDATE notification_templates SET is_active = true WHERE version = 7;
	INSERT INTO api_tokens (id, user_id, name, token_hash, permissions, created_at, expires_at)
	SELECT gen_random_uuid(), u.id, 'token ' || n, sha256(convert_to('token ' || n, 'UTF8')), ARRAY['datasources.read'], now() - random() * interval '400 days', now() + interval '1 year'
	FROM users u, generate_series(1, %[3]d / 18) n WHERE u.is_owner;
	INSERT INTO auth_sessions (id, user_id, token_hash, created_at, last_seen_at, expires_at)
	SELECT gen_random_uuid(), u.id, sha256(convert_to('session ' || n, 'UTF8')), now() - random() * interval '20 days', now(), now() + interval '1 hour'
	FROM users u, generate_series(1, %[3]d / 18) n WHERE u.is_owner;
	INSERT INTO approvals (id, action, permission, resource, resource_id, summary, request_hash, status, requested_by, requester_name, created_at, expires_at)
	SELECT gen_random_uuid(), 'delete_backup', 'executions.control', 'execution', gen_random_uuid(), 'Delete it', sha256(convert_to(n::text, 'UTF8')), CASE WHEN n %% 18 = 5 THEN 'pending' ELSE 'used' END, u.id, 'owner',
	       now() - random() * interval '400 days', now() + interval '1 day' FROM users u, generate_series(1, %[3]d / 18) n WHERE u.is_owner;
	INSERT INTO audit_logs (id, actor_name, action, resource, resource_id, ip, changes, created_at)
	SELECT gen_random_uuid(), CASE WHEN n %% 16 = 0 THEN 'owner@example.com' ELSE 'user' || n %% 1000 END, CASE WHEN n %% 18 = 5 THEN 'backup_job.update' ELSE 'backup_job.run' END,
	       CASE WHEN n %% 18 = 6 THEN 'sync_job' ELSE 'backup_job' END, CASE WHEN n %% 16 = 1 THEN 'seven' ELSE n::text END, '127.0.0.1', '{"execution_id": "x"}', now() - random() * interval '400 days'
	FROM generate_series(1, %[3]d / 10) n;
	INSERT INTO backup_chunks (execution_id, chunk_id, generation, plain_bytes, stored_bytes, checksum, uploaded)
	SELECT e.id, sha256(convert_to(n::text, 'UTF8')), e.generation, 1000, 400, sha256(convert_to(n::text, 'UTF8')), true
	FROM (SELECT e.id, e.generation FROM backup_executions e JOIN s ON s.id = e.storage_location_id WHERE e.status = 'completed' AND e.operation = 'backup' AND s.n = 7 ORDER BY e.id LIMIT 1) e,
	     generate_series(1, %[3]d / 18) n;
	INSERT INTO backup_chunks (execution_id, chunk_id, generation, plain_bytes, stored_bytes, checksum, uploaded)
	SELECT e.id, sha256(convert_to(e.id::text, 'UTF8')), e.generation, 1000, 400, sha256(convert_to(e.id::text, 'UTF8')), true
	FROM backup_executions e WHERE e.status = 'completed' AND e.operation = 'backup' AND substring(e.generation FROM 8) IN ('0', '1') ON CONFLICT DO NOTHING;
	INSERT INTO backup_replicas (execution_id, storage_location_id, manifest_path, copied_at)
	SELECT e.id, s.id, e.metadata ->> 'manifest_path', now() FROM (SELECT *, row_number() OVER () AS n FROM backup_executions WHERE status = 'completed' AND operation = 'backup') e
	JOIN s ON s.n = e.n %% 1100 WHERE e.n %% 10 = 0 AND s.id <> e.storage_location_id;
	INSERT INTO damaged_objects (storage_location_id, object_key, chunk_id, folder, reason, found_at, healed_at)
	SELECT s.id, 'object ' || c.n, c.chunk_id, c.generation, 'missing', now(), CASE WHEN c.n > 3 THEN now() END
	FROM s, (SELECT row_number() OVER () AS n, chunk_id, generation FROM backup_chunks
	         WHERE execution_id = (SELECT execution_id FROM backup_chunks GROUP BY 1 ORDER BY count(*) DESC LIMIT 1)) c WHERE s.n = 7;`

// fill makes the catalogue that the speed is measured over.
func (s *speed) fill() {
	t := s.t
	t.Helper()
	for _, statements := range []string{fillCatalogue, fillOthers} {
		_, err := s.conn.Exec(t.Context(), fmt.Sprintf(statements, s.datasources, s.jobs, s.rows))
		require.NoError(t, err)
	}
	_, err := s.conn.Exec(t.Context(), "VACUUM ANALYZE")
	require.NoError(t, err)
}

// one is a value of the catalogue.
func (s *speed) one(sql string) (value string) {
	s.t.Helper()
	require.NoError(s.t, s.conn.QueryRow(s.t.Context(), sql, pgx.QueryExecModeSimpleProtocol).Scan(&value), sql)
	return value
}
