-- Deleting a backup: mark, objects, rows. Whoever is about to read a backup or to build on it takes
-- a shared lock on its row and looks at the mark; marking takes the exclusive one. So either the
-- reader's own row is there when the holders are looked for, or the reader sees the mark.

-- name: LockExecution :one
SELECT status, operation, pinned, deleting_at FROM backup_executions WHERE id = @id FOR UPDATE;

-- name: HoldExecution :one
SELECT deleting_at FROM backup_executions WHERE id = @id FOR SHARE;

-- What reads a backup or builds on it right now.
-- name: ExecutionHolders :many
SELECT holder::text FROM (
    SELECT e.status || ' backup ' || e.id || ' builds on it' AS holder, e.created_at
    FROM backup_executions e
    WHERE e.parent_execution_id = sqlc.arg('id')::uuid AND e.status IN ('queued', 'running')
    UNION ALL
    SELECT e.status || ' ' || e.operation || ' ' || e.id || ' reads it', e.created_at
    FROM backup_executions e
    WHERE e.status IN ('queued', 'running') AND e.operation <> 'backup'
      AND e.metadata #>> '{restore,source_execution_id}' = sqlc.arg('id')::uuid::text
    UNION ALL
    SELECT s.status || ' database sync ' || s.id || ' is about to restore it', s.created_at
    FROM database_sync_executions s
    WHERE s.backup_execution_id = sqlc.arg('id')::uuid AND s.status IN ('queued', 'running')
    UNION ALL
    SELECT 'its copy to storage location "' || COALESCE(r ->> 'name', '') || '" is being made', e.created_at
    FROM backup_executions e, jsonb_array_elements(COALESCE(e.metadata -> 'storage_results', '[]')) r
    WHERE e.id = sqlc.arg('id')::uuid AND e.status = 'completed' AND r ->> 'status' = 'pending'
) holders
ORDER BY created_at DESC
LIMIT sqlc.arg('max_holders')::int;

-- name: MarkDeleting :exec
UPDATE backup_executions SET deleting_at = now() WHERE id = @id AND deleting_at IS NULL;

-- name: SetPinned :exec
UPDATE backup_executions SET pinned = @pinned WHERE id = @id;

-- name: ListDeleting :many
SELECT id FROM backup_executions
WHERE deleting_at IS NOT NULL AND storage_location_id = sqlc.arg('storage_location_id')::uuid
ORDER BY deleting_at, id
LIMIT sqlc.arg('page_size')::int;

-- The chunks of a backup, and whether another one that is kept or running on the location refers to
-- the same object. Failed ones and ones that are being deleted themselves need nothing: of two that
-- are deleted together each would else leave the object to the other. A folder belongs to one
-- generation, and the ids are keyed hashes under its secret, so folder and id are enough.
-- name: PageRemovable :many
SELECT c.chunk_id, c.generation AS folder, c.stored_bytes, EXISTS (
    SELECT FROM backup_chunks o
    JOIN backup_executions e ON e.id = o.execution_id
    WHERE o.generation = c.generation AND o.chunk_id = c.chunk_id AND o.execution_id <> c.execution_id
      AND (e.storage_location_id = sqlc.arg('storage_location_id')::uuid
           OR EXISTS (SELECT FROM backup_replicas r WHERE r.execution_id = e.id AND r.storage_location_id = sqlc.arg('storage_location_id')::uuid))
      AND e.status IN ('queued', 'running', 'completed') AND e.deleting_at IS NULL
) AS referenced
FROM backup_chunks c
WHERE c.execution_id = @execution_id AND (sqlc.narg('after_id')::bytea IS NULL OR c.chunk_id > sqlc.narg('after_id')::bytea)
ORDER BY c.chunk_id
LIMIT sqlc.arg('page_size')::int;

-- name: RemoveExecution :execrows
DELETE FROM backup_executions WHERE id = @id AND deleting_at IS NOT NULL;

-- Of some chunks of a folder, those that a kept or running backup refers to, wherever that is.
-- name: LiveChunks :many
SELECT DISTINCT c.chunk_id
FROM backup_chunks c
JOIN backup_executions e ON e.id = c.execution_id
WHERE c.generation = @folder AND c.chunk_id = ANY(sqlc.arg('chunk_ids')::bytea[])
  AND e.status IN ('queued', 'running', 'completed') AND e.deleting_at IS NULL;

-- name: BackupsOfGeneration :many
SELECT id, status, generation, deleting_at, created_at, COALESCE(metadata ->> 'manifest_path', '')::text AS manifest_path,
       (COALESCE(metadata ->> 'failure_class', '') = 'WorkflowLost')::boolean AS lost
FROM backup_executions WHERE generation = @generation AND operation = 'backup'
ORDER BY created_at, id;

-- The backups that were created in one second: a manifest's path holds it.
-- name: BackupsCreatedIn :many
SELECT id, status, generation, deleting_at, created_at, COALESCE(metadata ->> 'manifest_path', '')::text AS manifest_path,
       (COALESCE(metadata ->> 'failure_class', '') = 'WorkflowLost')::boolean AS lost
FROM backup_executions
WHERE operation = 'backup' AND created_at >= sqlc.arg('second')::timestamptz AND created_at < sqlc.arg('second')::timestamptz + interval '1 second'
ORDER BY created_at, id;

-- name: ForgetChunksOfFailed :execrows
DELETE FROM backup_chunks c USING backup_executions e
WHERE e.id = c.execution_id AND e.storage_location_id = sqlc.arg('storage_location_id')::uuid AND e.operation = 'backup'
  AND e.status IN ('failed', 'cancelled') AND e.finished_at < sqlc.arg('before')::timestamptz;

-- name: ListDatasourceIDs :many
SELECT id FROM datasources;
