-- A copy that is whole.
-- name: PutReplica :exec
INSERT INTO backup_replicas AS r (execution_id, storage_location_id, manifest_path, copied_at)
VALUES (@execution_id, @storage_location_id, @manifest_path, now())
ON CONFLICT (execution_id, storage_location_id) DO UPDATE
    SET manifest_path = EXCLUDED.manifest_path, copied_at = COALESCE(r.copied_at, EXCLUDED.copied_at);

-- A copy that is going to be made; one that is there already stays as it is.
-- name: BeginReplica :one
INSERT INTO backup_replicas AS r (execution_id, storage_location_id, manifest_path)
VALUES (@execution_id, @storage_location_id, @manifest_path)
ON CONFLICT (execution_id, storage_location_id) DO UPDATE
    SET manifest_path = CASE WHEN r.copied_at IS NULL THEN EXCLUDED.manifest_path ELSE r.manifest_path END
RETURNING (r.copied_at IS NOT NULL)::boolean AS copied;

-- name: CompleteReplica :execrows
UPDATE backup_replicas SET copied_at = COALESCE(copied_at, now())
WHERE execution_id = @execution_id AND storage_location_id = @storage_location_id;

-- Whether a backup that shares a generation with this one is just being deleted from a location: what
-- is seen there of their common objects may go.
-- name: SharerBeingDeleted :one
SELECT EXISTS (
    SELECT FROM backup_executions e
    JOIN backup_executions o ON o.generation = e.generation AND o.datasource_id = e.datasource_id AND o.id <> e.id
    WHERE e.id = sqlc.arg('execution_id')::uuid AND o.operation = 'backup' AND o.deleting_at IS NOT NULL
      AND (o.storage_location_id = sqlc.arg('storage_location_id')::uuid
           OR EXISTS (SELECT FROM backup_replicas r WHERE r.execution_id = o.id AND r.storage_location_id = sqlc.arg('storage_location_id')::uuid)));

-- name: ListReplicas :many
SELECT execution_id, storage_location_id, manifest_path, verified_at, created_at, copied_at
FROM backup_replicas WHERE execution_id = @execution_id ORDER BY created_at, storage_location_id;

-- name: DeleteReplica :exec
DELETE FROM backup_replicas WHERE execution_id = @execution_id AND storage_location_id = @storage_location_id;

-- Of the chunks of a backup those whose object another backup has on a location, whole: it was made
-- durable there before that one was completed or copied, and no check has found damage in it since.
-- name: PageShared :many
SELECT c.chunk_id, c.generation AS folder, (EXISTS (
    SELECT FROM backup_chunks o
    JOIN backup_executions e ON e.id = o.execution_id
    WHERE o.generation = c.generation AND o.chunk_id = c.chunk_id AND o.execution_id <> c.execution_id
      AND e.status = 'completed' AND e.deleting_at IS NULL
      AND (e.storage_location_id = sqlc.arg('storage_location_id')::uuid
           OR EXISTS (SELECT FROM backup_replicas r WHERE r.execution_id = e.id AND r.copied_at IS NOT NULL
                      AND r.storage_location_id = sqlc.arg('storage_location_id')::uuid))
) AND NOT EXISTS (
    SELECT FROM damaged_objects d
    WHERE d.storage_location_id = sqlc.arg('storage_location_id')::uuid AND d.folder = c.generation AND d.chunk_id = c.chunk_id
      AND d.healed_at IS NULL
))::boolean AS shared
FROM backup_chunks c
WHERE c.execution_id = @execution_id AND (sqlc.narg('after_id')::bytea IS NULL OR c.chunk_id > sqlc.narg('after_id')::bytea)
ORDER BY c.chunk_id
LIMIT sqlc.arg('page_size')::int;
