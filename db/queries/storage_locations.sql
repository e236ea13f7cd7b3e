-- name: CreateStorageLocation :one
INSERT INTO storage_locations (id, name, type, enabled, is_default, tags, pool, config)
VALUES (@id, @name, @type, @enabled, @is_default, @tags, @pool, @config)
RETURNING *;

-- name: GetStorageLocation :one
SELECT * FROM storage_locations WHERE id = @id;

-- name: ListStorageLocations :many
SELECT * FROM storage_locations
WHERE (sqlc.narg('scope')::jsonb IS NULL OR scope_allows(sqlc.narg('scope')::jsonb, NULL, id, NULL))
  AND (sqlc.narg('before_created_at')::timestamptz IS NULL
       OR (created_at, id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg('page_size')::int;

-- name: UpdateStorageLocation :one
UPDATE storage_locations
SET name = @name, type = @type, enabled = @enabled, is_default = @is_default, tags = @tags, pool = @pool,
    config = @config, version = version + 1, updated_at = now()
WHERE id = @id AND (sqlc.arg('expected_version')::bigint = 0 OR version = sqlc.arg('expected_version')::bigint)
RETURNING *;

-- The default moves in the same transaction as the row that takes it.
-- name: ClearDefaultStorageLocation :exec
UPDATE storage_locations SET is_default = false, version = version + 1, updated_at = now()
WHERE is_default AND id <> @except_id;

-- name: LockStorageLocation :one
SELECT id FROM storage_locations WHERE id = @id FOR UPDATE;

-- name: StorageLocationHolders :many
SELECT holder::text FROM (
    SELECT 'backup job "' || j.name || '"' AS holder, 1 AS rank, j.created_at
    FROM backup_jobs j
    WHERE j.storage_location_id = sqlc.arg('id')::uuid
       OR j.backup_options -> 'storage_targets' @> jsonb_build_array(jsonb_build_object('storage_location_id', sqlc.arg('id')::uuid::text))
    UNION ALL
    SELECT 'database sync job "' || s.name || '"', 2, s.created_at
    FROM database_sync_jobs s WHERE s.storage_location_id = sqlc.arg('id')::uuid
    UNION ALL
    SELECT e.status || ' ' || e.operation || ' ' || e.id, 3, e.created_at
    FROM backup_executions e
    WHERE e.storage_location_id = sqlc.arg('id')::uuid
      AND (e.status IN ('queued', 'running') OR (e.status = 'completed' AND e.operation = 'backup'))
    UNION ALL
    SELECT e.status || ' ' || e.operation || ' ' || e.id, 4, e.created_at
    FROM backup_executions e
    WHERE e.status IN ('queued', 'running') AND e.storage_location_id IS DISTINCT FROM sqlc.arg('id')::uuid
      AND e.metadata #> '{options,storage_targets}' @> jsonb_build_array(jsonb_build_object('storage_location_id', sqlc.arg('id')::uuid::text))
    UNION ALL
    SELECT 'copy of backup ' || e.id, 5, e.created_at
    FROM backup_replicas r JOIN backup_executions e ON e.id = r.execution_id
    WHERE r.storage_location_id = sqlc.arg('id')::uuid AND e.status = 'completed'
) holders
ORDER BY rank, created_at DESC
LIMIT sqlc.arg('max_holders')::int;

-- name: DeleteStorageLocation :execrows
DELETE FROM storage_locations WHERE id = @id;

-- name: SetStorageLocationHealth :execrows
UPDATE storage_locations
SET status = @status, available_space_gb = COALESCE(sqlc.narg('available_space_gb'), available_space_gb)
WHERE id = @id;

-- name: BindRepository :one
UPDATE storage_locations
SET repository_id = CASE WHEN repository_id = '' THEN sqlc.arg('repository_id')::text ELSE repository_id END
WHERE id = @id
RETURNING repository_id;

-- Where the repository was seen. It goes with the repository: what is bound to another one stays.
-- name: SetVolume :exec
UPDATE storage_locations SET volume = @volume WHERE id = @id AND repository_id = @repository_id AND volume <> @volume;

-- A location that is named in a document, where no foreign key keeps it.
-- name: HoldStorageLocation :one
SELECT id FROM storage_locations WHERE id = @id FOR SHARE;
