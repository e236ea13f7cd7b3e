-- name: CreateSyncJob :one
INSERT INTO database_sync_jobs (id, name, source_datasource_id, target_datasource_id, storage_location_id, schedule_cron, schedule_timezone,
    overwrite_direction, drop_existing, run_on_manual, enabled, retention_policy, backup_options, sync_options, overlap_policy)
VALUES (@id, @name, @source_datasource_id, @target_datasource_id, @storage_location_id, @schedule_cron, @schedule_timezone,
    @overwrite_direction, @drop_existing, @run_on_manual, @enabled, @retention_policy, @backup_options, @sync_options, @overlap_policy)
RETURNING *;

-- name: GetSyncJob :one
SELECT * FROM database_sync_jobs WHERE id = @id;

-- name: SyncInScope :one
SELECT sync_in_scope(sqlc.arg('scope')::jsonb, sqlc.arg('source_datasource_id')::uuid, sqlc.arg('target_datasource_id')::uuid, sqlc.narg('storage_location_id')::uuid)::boolean;

-- name: ListSyncJobs :many
SELECT * FROM database_sync_jobs
WHERE (sqlc.narg('scope')::jsonb IS NULL OR sync_in_scope(sqlc.narg('scope')::jsonb, source_datasource_id, target_datasource_id, storage_location_id))
  AND (sqlc.narg('of_datasources')::uuid[] IS NULL OR source_datasource_id = ANY(sqlc.narg('of_datasources')::uuid[]))
  AND (sqlc.narg('datasource_id')::uuid IS NULL OR sqlc.narg('datasource_id')::uuid IN (source_datasource_id, target_datasource_id))
  AND (sqlc.narg('storage_location_id')::uuid IS NULL OR storage_location_id = sqlc.narg('storage_location_id'))
  AND (sqlc.narg('before_created_at')::timestamptz IS NULL
       OR (created_at, id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg('page_size')::int;

-- Those that a new loop may go through.
-- name: ListEnabledSyncJobs :many
SELECT * FROM database_sync_jobs WHERE enabled AND id <> @except_id ORDER BY name;

-- Two jobs that are saved at the same time would not see each other's arrow. The number is this query's own.
-- name: LockSyncJobs :exec
SELECT pg_advisory_xact_lock(4973340);

-- name: UpdateSyncJob :one
UPDATE database_sync_jobs
SET name = @name, source_datasource_id = @source_datasource_id, target_datasource_id = @target_datasource_id,
    storage_location_id = @storage_location_id, schedule_cron = @schedule_cron, schedule_timezone = @schedule_timezone,
    overwrite_direction = @overwrite_direction, drop_existing = @drop_existing, run_on_manual = @run_on_manual, enabled = @enabled,
    retention_policy = @retention_policy, backup_options = @backup_options, sync_options = @sync_options,
    overlap_policy = @overlap_policy, schedule_pause = @schedule_pause, version = version + 1, updated_at = now(),
    schedule_since = CASE WHEN (@enabled AND NOT enabled) OR schedule_cron <> @schedule_cron OR schedule_timezone <> @schedule_timezone
        THEN now() ELSE schedule_since END
WHERE id = @id AND (sqlc.arg('expected_version')::bigint = 0 OR version = sqlc.arg('expected_version')::bigint)
RETURNING *;

-- name: LockSyncJob :one
SELECT id FROM database_sync_jobs WHERE id = @id FOR UPDATE;

-- name: SyncJobHolders :many
SELECT ('the ' || e.status || ' run ' || e.id)::text AS holder
FROM database_sync_executions e
WHERE e.sync_job_id = @job_id AND e.status IN ('queued', 'running')
ORDER BY e.created_at DESC
LIMIT sqlc.arg('max_holders')::int;

-- name: DeleteSyncJob :execrows
DELETE FROM database_sync_jobs WHERE id = @id;

-- The backups that runs of a sync job made, the newest first, without those that are going already.
-- name: SyncBackups :many
SELECT e.id FROM backup_executions e
WHERE e.id IN (SELECT s.backup_execution_id FROM database_sync_executions s WHERE s.sync_job_id = @job_id)
  AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL AND NOT e.pinned
ORDER BY e.created_at DESC, e.id DESC;

-- The sync job whose retention a backup is of; none when the job is gone.
-- name: SyncJobOfBackup :one
SELECT s.sync_job_id::uuid AS sync_job_id FROM database_sync_executions s
WHERE s.backup_execution_id = @backup_id AND s.sync_job_id IS NOT NULL
ORDER BY s.created_at DESC LIMIT 1;

-- Restores, other than one, that are about to write something.
-- name: ActiveRestores :many
SELECT id, metadata FROM backup_executions
WHERE status IN ('queued', 'running') AND operation = 'restore' AND id <> @except_id
  AND NOT COALESCE((metadata #>> '{restore,verification_mode}')::boolean, false)
ORDER BY created_at, id;

-- Two that look for each other's restore at the same time would both find none.
-- name: LockRestores :exec
SELECT pg_advisory_xact_lock(4973341);
