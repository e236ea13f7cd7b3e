-- name: PutReplica :exec
INSERT INTO backup_replicas (execution_id, storage_location_id, manifest_path)
VALUES (@execution_id, @storage_location_id, @manifest_path)
ON CONFLICT (execution_id, storage_location_id) DO UPDATE SET manifest_path = EXCLUDED.manifest_path;

-- name: ListReplicas :many
SELECT execution_id, storage_location_id, manifest_path, verified_at, created_at
FROM backup_replicas WHERE execution_id = @execution_id ORDER BY created_at, storage_location_id;

-- name: DeleteReplica :exec
DELETE FROM backup_replicas WHERE execution_id = @execution_id AND storage_location_id = @storage_location_id;
