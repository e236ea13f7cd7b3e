-- The scrub reads a generation at a time: its backups share objects, which are read once. What was
-- never verified counts from when it was written.

-- name: StartScrub :exec
INSERT INTO scrub_runs (id, storage_location_id) VALUES (@id, @storage_location_id) ON CONFLICT (id) DO NOTHING;

-- name: AddScrubbed :execrows
UPDATE scrub_runs
SET backups = backups + sqlc.arg('backups'), objects = objects + sqlc.arg('objects'), bytes = bytes + sqlc.arg('bytes'),
    damaged = damaged + sqlc.arg('damaged')
WHERE id = @id;

-- name: FinishScrub :execrows
UPDATE scrub_runs SET finished_at = COALESCE(finished_at, now()) WHERE id = @id;

-- name: GetScrub :one
SELECT * FROM scrub_runs WHERE id = @id;

-- name: ScrubbedSince :one
SELECT COALESCE(sum(bytes), 0)::bigint FROM scrub_runs
WHERE storage_location_id = @storage_location_id AND started_at > sqlc.arg('since')::timestamptz;

-- name: PruneScrubs :exec
DELETE FROM scrub_runs WHERE storage_location_id = @storage_location_id AND started_at < sqlc.arg('before')::timestamptz;

-- name: StoredOn :one
SELECT COALESCE(sum(bytes), 0)::bigint FROM (
    SELECT e.compressed_size_bytes AS bytes FROM backup_executions e
    WHERE e.storage_location_id = sqlc.arg('storage_location_id')::uuid
      AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
    UNION ALL
    SELECT e.compressed_size_bytes FROM backup_replicas r JOIN backup_executions e ON e.id = r.execution_id
    WHERE r.storage_location_id = sqlc.arg('storage_location_id')::uuid AND r.copied_at IS NOT NULL
      AND r.storage_location_id IS DISTINCT FROM e.storage_location_id
      AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
) copies;

-- name: OldestGenerations :many
SELECT generation, min(read_at)::timestamptz AS read_at FROM (
    SELECT e.generation, COALESCE(e.verified_at, e.finished_at, e.created_at) AS read_at FROM backup_executions e
    WHERE e.storage_location_id = sqlc.arg('storage_location_id')::uuid
      AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
    UNION ALL
    SELECT e.generation, COALESCE(r.verified_at, r.created_at) FROM backup_replicas r JOIN backup_executions e ON e.id = r.execution_id
    WHERE r.storage_location_id = sqlc.arg('storage_location_id')::uuid AND r.copied_at IS NOT NULL
      AND r.storage_location_id IS DISTINCT FROM e.storage_location_id
      AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
) copies
WHERE NOT (generation = ANY(sqlc.arg('without')::text[]))
GROUP BY generation
HAVING min(read_at) < sqlc.arg('before')::timestamptz
ORDER BY min(read_at), generation
LIMIT sqlc.arg('page_size')::int;
