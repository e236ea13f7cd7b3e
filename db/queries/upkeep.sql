-- Deletions whose workflow should have ended long ago.
-- name: InterruptedDeletions :many
SELECT e.id, COALESCE(s.pool, d.pool, '')::text AS pool, COALESCE(s.name, '')::text AS storage, COALESCE(d.name, '')::text AS datasource
FROM backup_executions e
LEFT JOIN storage_locations s ON s.id = e.storage_location_id
LEFT JOIN datasources d ON d.id = e.datasource_id
WHERE e.deleting_at < sqlc.arg('marked_before')::timestamptz
ORDER BY e.deleting_at
LIMIT sqlc.arg('max_rows')::int;

-- Old rows go in batches, so that no statement holds many locks for long.
-- name: PruneHealthChecks :execrows
DELETE FROM health_checks WHERE id IN (
    SELECT h.id FROM health_checks h WHERE h.checked_at < sqlc.arg('before')::timestamptz LIMIT sqlc.arg('max_rows')::int);

-- name: PruneStorageHealthChecks :execrows
DELETE FROM storage_health_checks WHERE id IN (
    SELECT h.id FROM storage_health_checks h WHERE h.checked_at < sqlc.arg('before')::timestamptz LIMIT sqlc.arg('max_rows')::int);

-- name: PruneNotifications :execrows
DELETE FROM notifications WHERE id IN (
    SELECT n.id FROM notifications n WHERE n.created_at < sqlc.arg('before')::timestamptz LIMIT sqlc.arg('max_rows')::int);
