-- What of a storage location's files the catalogue needs. A backup that is kept or under way holds its
-- objects wherever they are found: two locations may be one place, and a copy may be half made.

-- name: ChunkKeepers :many
SELECT e.id, e.status, e.created_at, COALESCE(d.name, '')::text AS datasource
FROM backup_executions e
LEFT JOIN datasources d ON d.id = e.datasource_id
WHERE e.id IN (
    SELECT c.execution_id FROM backup_chunks c WHERE c.generation = @folder AND c.chunk_id = ANY(sqlc.arg('chunk_ids')::bytea[]))
  AND e.operation = 'backup' AND e.status IN ('queued', 'running', 'completed') AND e.deleting_at IS NULL
ORDER BY e.created_at, e.id
LIMIT sqlc.arg('max_keepers')::int;

-- name: BackupKeepers :many
SELECT e.id, e.status, e.created_at, COALESCE(d.name, '')::text AS datasource
FROM backup_executions e
LEFT JOIN datasources d ON d.id = e.datasource_id
WHERE e.id = ANY(sqlc.arg('ids')::uuid[])
ORDER BY e.created_at, e.id;

-- Of the repository itself: everything that is on one of its locations.
-- name: RepositoryKeepers :many
SELECT e.id, e.status, e.created_at, COALESCE(d.name, '')::text AS datasource
FROM backup_executions e
LEFT JOIN datasources d ON d.id = e.datasource_id
WHERE e.operation = 'backup' AND e.status IN ('queued', 'running', 'completed') AND e.deleting_at IS NULL
  AND (e.storage_location_id IN (SELECT l.id FROM storage_locations l WHERE l.repository_id = sqlc.arg('repository_id')::text)
       OR EXISTS (SELECT FROM backup_replicas r JOIN storage_locations l ON l.id = r.storage_location_id
                  WHERE r.execution_id = e.id AND l.repository_id = sqlc.arg('repository_id')::text))
ORDER BY e.created_at, e.id
LIMIT sqlc.arg('max_keepers')::int;

-- name: RepositoryLocations :many
SELECT name FROM storage_locations WHERE repository_id = sqlc.arg('repository_id')::text ORDER BY name;

-- What the catalogue knows to be on a location, for each datasource.
-- name: StoredByDatasource :many
SELECT datasource_id::uuid AS datasource_id, max(name)::text AS name, count(*) AS backups, sum(bytes)::bigint AS bytes FROM (
    SELECT e.datasource_id, d.name, e.compressed_size_bytes AS bytes
    FROM backup_executions e JOIN datasources d ON d.id = e.datasource_id
    WHERE e.storage_location_id = sqlc.arg('storage_location_id')::uuid
      AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
    UNION ALL
    SELECT e.datasource_id, d.name, e.compressed_size_bytes
    FROM backup_replicas r JOIN backup_executions e ON e.id = r.execution_id JOIN datasources d ON d.id = e.datasource_id
    WHERE r.storage_location_id = sqlc.arg('storage_location_id')::uuid AND r.storage_location_id IS DISTINCT FROM e.storage_location_id
      AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
) copies
GROUP BY datasource_id
ORDER BY sum(bytes) DESC, datasource_id
LIMIT sqlc.arg('max_datasources')::int;
