-- Where a backup is: its own storage location and its replicas. Only a backup that is completed and
-- not being deleted has copies.

-- name: ListCopies :many
SELECT e.id AS execution_id, e.storage_location_id::uuid AS storage_location_id, true AS is_primary, e.generation,
       COALESCE(e.metadata ->> 'manifest_path', '')::text AS manifest_path,
       COALESCE(e.metadata ->> 'manifest_sha256', '')::text AS manifest_sha256, e.compressed_size_bytes, e.created_at
FROM backup_executions e
WHERE e.id = sqlc.arg('execution_id')::uuid AND e.storage_location_id IS NOT NULL
  AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
UNION ALL
SELECT e.id, r.storage_location_id, false, e.generation, r.manifest_path,
       COALESCE(e.metadata ->> 'manifest_sha256', '')::text, e.compressed_size_bytes, e.created_at
FROM backup_replicas r
JOIN backup_executions e ON e.id = r.execution_id
WHERE e.id = sqlc.arg('execution_id')::uuid AND r.copied_at IS NOT NULL AND r.storage_location_id IS DISTINCT FROM e.storage_location_id
  AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
ORDER BY 3 DESC, 2;

-- name: ListGenerationCopies :many
SELECT e.id AS execution_id, sqlc.arg('storage_location_id')::uuid AS storage_location_id, true AS is_primary, e.generation,
       COALESCE(e.metadata ->> 'manifest_path', '')::text AS manifest_path,
       COALESCE(e.metadata ->> 'manifest_sha256', '')::text AS manifest_sha256, e.compressed_size_bytes, e.created_at
FROM backup_executions e
WHERE e.storage_location_id = sqlc.arg('storage_location_id')::uuid AND e.generation = sqlc.arg('generation')::text
  AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
UNION ALL
SELECT e.id, r.storage_location_id, false, e.generation, r.manifest_path,
       COALESCE(e.metadata ->> 'manifest_sha256', '')::text, e.compressed_size_bytes, e.created_at
FROM backup_replicas r
JOIN backup_executions e ON e.id = r.execution_id
WHERE r.storage_location_id = sqlc.arg('storage_location_id')::uuid AND e.generation = sqlc.arg('generation')::text
  AND r.copied_at IS NOT NULL AND r.storage_location_id IS DISTINCT FROM e.storage_location_id
  AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
ORDER BY 8, 1;

-- How many objects of a backup are known to be damaged, for each location where there are any.
-- name: DamagedCopies :many
SELECT d.storage_location_id, count(*) AS damaged
FROM damaged_objects d
WHERE d.healed_at IS NULL AND (
    d.object_key = sqlc.arg('manifest_path')::text
    OR EXISTS (SELECT FROM backup_chunks c WHERE c.execution_id = sqlc.arg('execution_id')::uuid AND c.chunk_id = d.chunk_id AND c.generation = d.folder))
GROUP BY d.storage_location_id;

-- name: LockKeptBackup :one
SELECT storage_location_id, COALESCE((metadata #>> '{verification,ok}')::boolean, true)::boolean AS was_ok,
       COALESCE(metadata #>> '{verification,mode}' = 'full' AND NOT (metadata #>> '{verification,ok}')::boolean
           AND COALESCE((metadata #>> '{verification,damaged_objects}')::bigint, 0) = 0, false)::boolean AS was_unreadable
FROM backup_executions
WHERE id = @id AND operation = 'backup' AND status = 'completed' AND deleting_at IS NULL
FOR UPDATE;

-- name: SetReplicaVerified :execrows
UPDATE backup_replicas SET verified_at = @verified_at
WHERE execution_id = @execution_id AND storage_location_id = @storage_location_id;
