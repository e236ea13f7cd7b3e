-- Deletions whose workflow should have ended long ago.
-- name: InterruptedDeletions :many
SELECT e.id, COALESCE(s.pool, d.pool, '')::text AS pool, COALESCE(s.name, '')::text AS storage, COALESCE(d.name, '')::text AS datasource
FROM backup_executions e
LEFT JOIN storage_locations s ON s.id = e.storage_location_id
LEFT JOIN datasources d ON d.id = e.datasource_id
WHERE e.deleting_at < sqlc.arg('marked_before')::timestamptz
ORDER BY e.deleting_at
LIMIT sqlc.arg('max_rows')::int;

-- A token is shown as expired for a while before it goes.
-- name: PruneAPITokens :execrows
DELETE FROM api_tokens WHERE expires_at < sqlc.arg('before')::timestamptz;

-- name: PruneHandoffs :execrows
DELETE FROM oidc_handoffs WHERE expires_at <= now();

-- name: PruneIdempotencyKeys :execrows
DELETE FROM idempotency_keys WHERE id IN (
    SELECT k.id FROM idempotency_keys k WHERE k.expires_at <= now() LIMIT sqlc.arg('max_rows')::int);

-- Old rows go in batches, so that no statement holds many locks for long.
-- name: PruneHealthChecks :execrows
DELETE FROM health_checks WHERE id IN (
    SELECT h.id FROM health_checks h WHERE h.checked_at < sqlc.arg('before')::timestamptz LIMIT sqlc.arg('max_rows')::int);

-- name: PruneStorageHealthChecks :execrows
DELETE FROM storage_health_checks WHERE id IN (
    SELECT h.id FROM storage_health_checks h WHERE h.checked_at < sqlc.arg('before')::timestamptz LIMIT sqlc.arg('max_rows')::int);

-- name: PruneNotifications :execrows
DELETE FROM notifications WHERE id IN (
    SELECT n.id FROM notifications n WHERE n.created_at < sqlc.arg('before')::timestamptz
      AND NOT EXISTS (SELECT FROM notification_deliveries d WHERE d.notification_id = n.id AND d.status IN ('pending', 'sending'))
    LIMIT sqlc.arg('max_rows')::int);

-- Executions that are history: a backup that failed or was cancelled and has left nothing, and every restore that has ended.
-- name: PruneExecutions :execrows
DELETE FROM backup_executions WHERE id IN (
    SELECT e.id FROM backup_executions e
    WHERE e.created_at < sqlc.arg('before')::timestamptz AND e.finished_at < sqlc.arg('before')::timestamptz
      AND e.deleting_at IS NULL AND NOT e.pinned AND (e.operation = 'restore' OR e.status IN ('failed', 'cancelled'))
      AND NOT EXISTS (SELECT FROM backup_chunks c WHERE c.execution_id = e.id)
    LIMIT sqlc.arg('max_rows')::int);

-- A run whose backup is kept stays: by it the sync job knows the backup as its own.
-- name: PruneSyncRuns :execrows
DELETE FROM database_sync_executions WHERE id IN (
    SELECT e.id FROM database_sync_executions e
    WHERE e.created_at < sqlc.arg('before')::timestamptz AND e.finished_at < sqlc.arg('before')::timestamptz AND e.backup_execution_id IS NULL
    LIMIT sqlc.arg('max_rows')::int);

-- name: PruneDrillRuns :execrows
DELETE FROM restore_drill_executions WHERE id IN (
    SELECT e.id FROM restore_drill_executions e
    WHERE e.created_at < sqlc.arg('before')::timestamptz AND e.finished_at < sqlc.arg('before')::timestamptz
    LIMIT sqlc.arg('max_rows')::int);

-- Completed backups with a copy that is being made, or was when its workflow was lost.
-- name: PendingCopies :many
SELECT id FROM backup_executions
WHERE status = 'completed' AND metadata @> '{"storage_results": [{"status": "pending"}]}' AND deleting_at IS NULL
ORDER BY id;
