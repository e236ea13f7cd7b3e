-- name: CreateDrillJob :one
INSERT INTO restore_drill_jobs (id, name, datasource_id, backup_job_id, target_datasource_id, schedule_cron, schedule_timezone,
    max_backup_age_hours, enabled, drill_options, overlap_policy)
VALUES (@id, @name, @datasource_id, @backup_job_id, @target_datasource_id, @schedule_cron, @schedule_timezone,
    @max_backup_age_hours, @enabled, @drill_options, @overlap_policy)
RETURNING *;

-- name: GetDrillJob :one
SELECT * FROM restore_drill_jobs WHERE id = @id;

-- name: DrillInScope :one
SELECT drill_in_scope(sqlc.arg('scope')::jsonb, sqlc.arg('datasource_id')::uuid, sqlc.arg('target_datasource_id')::uuid, sqlc.narg('backup_job_id')::uuid)::boolean;

-- name: ListDrillJobs :many
SELECT j.* FROM restore_drill_jobs j LEFT JOIN backup_jobs b ON b.id = j.backup_job_id
WHERE (sqlc.narg('scope')::jsonb IS NULL
       OR drill_belongs_in_scope(sqlc.narg('scope')::jsonb, j.datasource_id, j.target_datasource_id, b.storage_location_id, j.backup_job_id))
  AND (sqlc.narg('of_datasources')::uuid[] IS NULL OR j.datasource_id = ANY(sqlc.narg('of_datasources')::uuid[]))
  AND (sqlc.narg('datasource_id')::uuid IS NULL OR sqlc.narg('datasource_id')::uuid IN (j.datasource_id, j.target_datasource_id))
  AND (sqlc.narg('backup_job_id')::uuid IS NULL OR j.backup_job_id = sqlc.narg('backup_job_id'))
  AND (sqlc.narg('before_created_at')::timestamptz IS NULL
       OR (j.created_at, j.id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY j.created_at DESC, j.id DESC
LIMIT sqlc.arg('page_size')::int;

-- name: UpdateDrillJob :one
UPDATE restore_drill_jobs
SET name = @name, datasource_id = @datasource_id, backup_job_id = @backup_job_id, target_datasource_id = @target_datasource_id,
    schedule_cron = @schedule_cron, schedule_timezone = @schedule_timezone, max_backup_age_hours = @max_backup_age_hours,
    enabled = @enabled, drill_options = @drill_options, overlap_policy = @overlap_policy, schedule_pause = @schedule_pause,
    version = version + 1, updated_at = now(),
    schedule_since = CASE WHEN (@enabled AND NOT enabled) OR schedule_cron <> @schedule_cron OR schedule_timezone <> @schedule_timezone
        THEN now() ELSE schedule_since END
WHERE id = @id AND (sqlc.arg('expected_version')::bigint = 0 OR version = sqlc.arg('expected_version')::bigint)
RETURNING *;

-- name: LockDrillJob :one
SELECT id FROM restore_drill_jobs WHERE id = @id FOR UPDATE;

-- name: DrillJobHolders :many
SELECT ('the ' || e.status || ' run ' || e.id)::text AS holder
FROM restore_drill_executions e
WHERE e.drill_job_id = @job_id AND e.status IN ('queued', 'running')
ORDER BY e.created_at DESC
LIMIT sqlc.arg('max_holders')::int;

-- name: DeleteDrillJob :execrows
DELETE FROM restore_drill_jobs WHERE id = @id;

-- The latest backup that a drill proves: of the datasource, or of one job of it. Those in between of syncs are nobody's
-- protection: they may have some tables only, and go with the next run.
-- name: LatestBackup :one
SELECT id FROM backup_executions
WHERE datasource_id = @datasource_id AND operation = 'backup' AND status = 'completed' AND deleting_at IS NULL
  AND (sqlc.narg('job_id')::uuid IS NULL OR job_id = sqlc.narg('job_id'))
  AND COALESCE(metadata ->> 'trigger', '') <> 'sync'
ORDER BY COALESCE(finished_at, created_at) DESC, id DESC
LIMIT 1;

-- The recovery times of a job's good drills, the newest first.
-- name: DrillTimes :many
SELECT id, finished_at, recovery_ms::bigint AS recovery_ms, COALESCE((metadata #>> '{drill,backup_bytes}')::bigint, 0)::bigint AS bytes
FROM restore_drill_executions
WHERE drill_job_id = @job_id AND status = 'completed' AND recovery_ms IS NOT NULL
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg('page_size')::int;
