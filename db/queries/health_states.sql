-- name: MakeHealthState :exec
INSERT INTO health_states (entity_type, entity_id) VALUES (@entity_type, @entity_id) ON CONFLICT DO NOTHING;

-- name: LockHealthState :one
SELECT failures, announced FROM health_states WHERE entity_type = @entity_type AND entity_id = @entity_id FOR UPDATE;

-- since is when what people were told last changed.
-- name: SetHealthState :exec
UPDATE health_states
SET failures = @failures, since = CASE WHEN announced = sqlc.arg('announced')::text THEN since ELSE now() END,
    announced = sqlc.arg('announced')::text, checked_at = now()
WHERE entity_type = @entity_type AND entity_id = @entity_id;

-- name: HealthStates :many
SELECT entity_id, failures, announced, since, checked_at FROM health_states WHERE entity_type = @entity_type ORDER BY entity_id;

-- Those of what is gone. The id of a schedule of a storage location ends with that of the location.
-- name: ForgetHealthStates :exec
DELETE FROM health_states h
WHERE (h.entity_type = 'datasource' AND NOT EXISTS (SELECT FROM datasources d WHERE d.id::text = h.entity_id))
   OR (h.entity_type = 'storage_location' AND NOT EXISTS (SELECT FROM storage_locations l WHERE l.id::text = h.entity_id))
   OR (h.entity_type = 'backup_job' AND NOT EXISTS (SELECT FROM backup_jobs j WHERE j.id::text = h.entity_id))
   OR (h.entity_type = 'schedule' AND h.entity_id ~ '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
       AND NOT EXISTS (SELECT FROM storage_locations l WHERE l.id::text = right(h.entity_id, 36)))
   OR (h.entity_type = 'pool' AND NOT EXISTS (SELECT FROM datasources d WHERE d.pool = h.entity_id AND d.enabled)
       AND NOT EXISTS (SELECT FROM storage_locations l WHERE l.pool = h.entity_id AND l.enabled));

-- name: PoolsInUse :many
SELECT pool FROM datasources WHERE enabled UNION SELECT pool FROM storage_locations WHERE enabled ORDER BY pool;

-- name: PageHealthChecks :many
SELECT * FROM health_checks
WHERE datasource_id = @datasource_id AND (sqlc.narg('before_created_at')::timestamptz IS NULL
   OR (checked_at, id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY checked_at DESC, id DESC
LIMIT sqlc.arg('page_size')::int;

-- name: PageStorageHealthChecks :many
SELECT * FROM storage_health_checks
WHERE storage_location_id = @storage_location_id AND (sqlc.narg('before_created_at')::timestamptz IS NULL
   OR (checked_at, id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY checked_at DESC, id DESC
LIMIT sqlc.arg('page_size')::int;

-- Bytes a second by which the use of a location grows, least squares over the last thirty days; where what is used is
-- not known, by which what is free shrinks. Less than a day says nothing. One check a day is looked at, and one each six
-- hours of the last two days: there are thousands of each location.
-- name: StorageTrends :many
WITH wanted AS (SELECT unnest(sqlc.arg('ids')::uuid[]) AS id), slots AS (
    SELECT now() - interval '30 days' + n * interval '1 day' AS since, interval '1 day' AS length FROM generate_series(0, 27) AS n
    UNION ALL
    SELECT now() - interval '2 days' + n * interval '6 hours', interval '6 hours' FROM generate_series(0, 7) AS n
), samples AS (
    SELECT w.id AS storage_location_id, sample.checked_at, sample.used_bytes, sample.available_space_gb
    FROM wanted w
    CROSS JOIN slots
    CROSS JOIN LATERAL (
        SELECT c.checked_at, c.used_bytes, c.available_space_gb FROM storage_health_checks c
        WHERE c.storage_location_id = w.id AND c.checked_at > slots.since AND c.checked_at <= slots.since + slots.length
          AND (c.used_bytes IS NOT NULL OR c.available_space_gb IS NOT NULL)
        ORDER BY c.checked_at DESC, c.id DESC LIMIT 1) sample
)
SELECT storage_location_id::uuid AS storage_location_id,
       COALESCE(regr_slope(used_bytes::float8, EXTRACT(EPOCH FROM checked_at)),
                -regr_slope(available_space_gb * 1e9, EXTRACT(EPOCH FROM checked_at)))::float8 AS bytes_per_second
FROM samples
GROUP BY storage_location_id
HAVING max(checked_at) - min(checked_at) >= interval '1 day' AND count(*) >= 3;

-- When the last good backup of each job ended.
-- name: LastCompletedBackups :many
SELECT job_id::uuid AS job_id, max(finished_at)::timestamptz AS finished_at FROM backup_executions
WHERE job_id = ANY(sqlc.arg('job_ids')::uuid[]) AND operation = 'backup' AND status = 'completed' AND deleting_at IS NULL
GROUP BY job_id;
