-- name: CreateDatasource :one
INSERT INTO datasources (id, name, type, enabled, tags, pool, connection_config)
VALUES (@id, @name, @type, @enabled, @tags, @pool, @connection_config)
RETURNING *;

-- name: GetDatasource :one
SELECT * FROM datasources WHERE id = @id;

-- name: ListDatasources :many
SELECT * FROM datasources
WHERE (sqlc.narg('scope')::jsonb IS NULL OR scope_allows(sqlc.narg('scope')::jsonb, id, NULL, NULL))
  AND (sqlc.narg('before_created_at')::timestamptz IS NULL
       OR (created_at, id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg('page_size')::int;

-- name: UpdateDatasource :one
UPDATE datasources
SET name = @name, type = @type, enabled = @enabled, tags = @tags, pool = @pool,
    connection_config = @connection_config, version = version + 1, updated_at = now()
WHERE id = @id AND (sqlc.arg('expected_version')::bigint = 0 OR version = sqlc.arg('expected_version')::bigint)
RETURNING *;

-- name: LockDatasource :one
SELECT id FROM datasources WHERE id = @id FOR UPDATE;

-- What keeps a datasource from being deleted: its jobs, running work, and backups that are kept.
-- name: DatasourceHolders :many
SELECT holder::text FROM (
    SELECT 'backup job "' || j.name || '"' AS holder, 1 AS rank, j.created_at
    FROM backup_jobs j WHERE j.datasource_id = sqlc.arg('id')::uuid
    UNION ALL
    SELECT 'database sync job "' || s.name || '"', 2, s.created_at
    FROM database_sync_jobs s WHERE sqlc.arg('id')::uuid IN (s.source_datasource_id, s.target_datasource_id)
    UNION ALL
    SELECT 'restore drill job "' || r.name || '"', 2, r.created_at
    FROM restore_drill_jobs r WHERE sqlc.arg('id')::uuid IN (r.datasource_id, r.target_datasource_id)
    UNION ALL
    SELECT e.status || ' ' || e.operation || ' ' || e.id, 3, e.created_at
    FROM backup_executions e
    WHERE e.datasource_id = sqlc.arg('id')::uuid
      AND (e.status IN ('queued', 'running') OR (e.status = 'completed' AND e.operation = 'backup'))
) holders
ORDER BY rank, created_at DESC
LIMIT sqlc.arg('max_holders')::int;

-- name: DeleteDatasource :execrows
DELETE FROM datasources WHERE id = @id;

-- name: SetDatasourceHealth :execrows
UPDATE datasources SET status = @status, last_health_check_at = @checked_at
WHERE id = @id AND (last_health_check_at IS NULL OR last_health_check_at <= @checked_at);
