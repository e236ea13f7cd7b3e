-- Backups that were found on a storage location and are not in the catalogue.

-- name: ImportExecution :one
INSERT INTO backup_executions (id, datasource_id, storage_location_id, status, backup_type, size_bytes, compressed_size_bytes,
    started_at, finished_at, generation, metadata, created_at,
    parent_execution_id, increment_number)
VALUES (@id, @datasource_id, @storage_location_id, 'completed', @backup_type, @size_bytes, @compressed_size_bytes,
    @started_at, @finished_at, @generation, @metadata, @created_at,
    (SELECT p.id FROM backup_executions p WHERE p.id = sqlc.narg('parent_id')::uuid),
    COALESCE((SELECT p.increment_number + 1 FROM backup_executions p WHERE p.id = sqlc.narg('parent_id')::uuid), 0))
RETURNING (parent_execution_id IS NOT NULL)::boolean AS linked;

-- Of a backup that was imported before what it builds on.
-- name: SetImportedParent :execrows
UPDATE backup_executions e SET parent_execution_id = p.id, increment_number = p.increment_number + 1
FROM backup_executions p
WHERE e.id = @id AND p.id = sqlc.arg('parent_id')::uuid AND e.parent_execution_id IS NULL AND e.metadata ->> 'trigger' = 'import';

-- name: DatasourceNameTaken :one
SELECT EXISTS (SELECT FROM datasources WHERE lower(name) = lower(sqlc.arg('name')::text));
