-- The completed backups of a job that a retention policy looks at. Those that a sync or a drill made are
-- those jobs' own.
-- name: RetentionBackups :many
SELECT e.id, COALESCE(e.started_at, e.created_at)::timestamptz AS at,
       COALESCE((e.metadata #>> '{verification,ok}')::boolean, true)::boolean AS good,
       e.pinned, e.compressed_size_bytes, COALESCE(l.name, '')::text AS storage,
       COALESCE(e.datasource_id::text, '')::text AS datasource,
       (CASE
            WHEN l.id IS NOT NULL AND NOT l.enabled THEN 'its storage location is disabled'
            ELSE COALESCE((
                SELECT o.status || ' backup ' || o.id || ' builds on it' FROM backup_executions o
                WHERE o.parent_execution_id = e.id AND o.status IN ('queued', 'running') LIMIT 1
            ), (
                SELECT o.status || ' ' || o.operation || ' ' || o.id || ' reads it' FROM backup_executions o
                WHERE o.status IN ('queued', 'running') AND o.operation <> 'backup'
                  AND o.metadata #>> '{restore,source_execution_id}' = e.id::text LIMIT 1
            ), (
                SELECT s.status || ' database sync ' || s.id || ' is about to restore it' FROM database_sync_executions s
                WHERE s.backup_execution_id = e.id AND s.status IN ('queued', 'running') LIMIT 1
            ), CASE WHEN e.metadata -> 'storage_results' @> '[{"status": "pending"}]' THEN 'a copy of it is being made' END, '')
        END)::text AS held
FROM backup_executions e
LEFT JOIN storage_locations l ON l.id = e.storage_location_id
WHERE e.job_id = sqlc.arg('job_id')::uuid AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
  AND COALESCE(e.metadata ->> 'trigger', '') NOT IN ('sync', 'drill');

-- Two runs of one job's retention must not both decide. The job's row may be referred to meanwhile.
-- name: LockJobRetention :one
SELECT id FROM backup_jobs WHERE id = @id FOR NO KEY UPDATE;

-- name: MarkExpired :exec
UPDATE backup_executions
SET deleting_at = now(), metadata = metadata || jsonb_build_object('expired', sqlc.arg('reason')::text)
WHERE id = @id AND deleting_at IS NULL;

-- What retention has marked and nobody has removed yet, and the pool whose workers reach it.
-- name: ListExpired :many
SELECT e.id, COALESCE(d.name, '')::text AS datasource, COALESCE(l.name, '')::text AS storage, COALESCE(l.pool, d.pool, '')::text AS pool
FROM backup_executions e
LEFT JOIN storage_locations l ON l.id = e.storage_location_id
LEFT JOIN datasources d ON d.id = e.datasource_id
WHERE e.job_id = sqlc.arg('job_id')::uuid AND e.deleting_at IS NOT NULL AND e.metadata ? 'expired'
ORDER BY e.created_at, e.id
LIMIT sqlc.arg('page_size')::int;

-- name: PutRetentionResult :execrows
INSERT INTO backup_job_retention (job_id, run_id, result) VALUES (@job_id, @run_id, @result)
ON CONFLICT (job_id) DO UPDATE SET run_id = excluded.run_id, result = excluded.result, updated_at = now()
WHERE backup_job_retention.run_id <> excluded.run_id;

-- name: RetentionResults :many
SELECT job_id, run_id, result FROM backup_job_retention WHERE job_id = ANY(sqlc.arg('job_ids')::uuid[]);
