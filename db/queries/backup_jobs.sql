-- name: CreateBackupJob :one
INSERT INTO backup_jobs (id, name, datasource_id, storage_location_id, schedule_cron, schedule_timezone, enabled, retention_policy, backup_options, overlap_policy, next_execution_at)
VALUES (@id, @name, @datasource_id, @storage_location_id, @schedule_cron, @schedule_timezone, @enabled, @retention_policy, @backup_options, @overlap_policy, @next_execution_at)
RETURNING *;

-- name: GetBackupJob :one
SELECT * FROM backup_jobs WHERE id = @id;

-- name: ListBackupJobs :many
SELECT * FROM backup_jobs
WHERE (sqlc.narg('scope')::jsonb IS NULL OR scope_allows(sqlc.narg('scope')::jsonb, datasource_id, storage_location_id, id))
  AND (sqlc.narg('of_datasources')::uuid[] IS NULL OR datasource_id = ANY(sqlc.narg('of_datasources')::uuid[]))
  AND (sqlc.narg('before_created_at')::timestamptz IS NULL
       OR (created_at, id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg('page_size')::int;

-- name: UpdateBackupJob :one
UPDATE backup_jobs
SET name = @name, datasource_id = @datasource_id, storage_location_id = @storage_location_id,
    schedule_cron = @schedule_cron, schedule_timezone = @schedule_timezone, enabled = @enabled,
    retention_policy = @retention_policy, backup_options = @backup_options, overlap_policy = @overlap_policy,
    next_execution_at = @next_execution_at, schedule_pause = @schedule_pause, version = version + 1, updated_at = now(),
    schedule_since = CASE WHEN (@enabled AND NOT enabled) OR schedule_cron <> @schedule_cron OR schedule_timezone <> @schedule_timezone
        THEN now() ELSE schedule_since END
WHERE id = @id AND (sqlc.arg('expected_version')::bigint = 0 OR version = sqlc.arg('expected_version')::bigint)
RETURNING *;

-- name: LockBackupJob :one
SELECT id FROM backup_jobs WHERE id = @id FOR UPDATE;

-- name: BackupJobHolders :many
SELECT holder::text FROM (
    SELECT e.status || ' ' || e.operation || ' ' || e.id AS holder, 1 AS rank, e.created_at
    FROM backup_executions e
    WHERE e.job_id = @job_id AND e.status IN ('queued', 'running')
    UNION ALL
    SELECT 'restore drill job "' || r.name || '"', 2, r.created_at
    FROM restore_drill_jobs r WHERE r.backup_job_id = @job_id
) holders
ORDER BY rank, created_at DESC
LIMIT sqlc.arg('max_holders')::int;

-- name: DeleteBackupJob :execrows
DELETE FROM backup_jobs WHERE id = @id;

-- name: SetJobLastExecution :exec
UPDATE backup_jobs SET last_execution_at = @started_at
WHERE id = @id AND (last_execution_at IS NULL OR last_execution_at < @started_at);

-- When the job runs next, and whether somebody paused its schedule in Temporal. No change of the job: its version stays. What was
-- made of an older version is not stored.
-- name: SetJobNextExecution :exec
UPDATE backup_jobs SET next_execution_at = @next_execution_at, schedule_pause = @schedule_pause
WHERE id = @id AND version = @version AND (next_execution_at IS DISTINCT FROM @next_execution_at OR schedule_pause <> @schedule_pause);

-- Which run has had its turn; no change of the job either. One from the future is of a time when a clock was wrong.
-- name: SetJobLastDue :exec
UPDATE backup_jobs SET last_due_at = sqlc.arg('due_at')::timestamptz
WHERE id = @id AND (last_due_at IS NULL OR last_due_at < sqlc.arg('due_at')::timestamptz OR last_due_at > now());

-- name: AwaitBackupJob :exec
SELECT id FROM backup_jobs WHERE id = @id FOR SHARE;

-- One from the future was made while a clock was wrong, and must not keep others from being made until then.
-- name: LastScheduledExecution :one
SELECT created_at FROM backup_executions
WHERE job_id = @job_id AND metadata ->> 'trigger' = 'schedule' AND created_at <= now()
ORDER BY created_at DESC, id DESC LIMIT 1;
