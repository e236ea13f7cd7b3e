-- What a backup builds on. The row of the parent is locked while it is chosen, as a deletion locks it
-- before it marks it: of the two, one sees what the other did.

-- name: FindParent :one
SELECT id FROM backup_executions
WHERE job_id = @job_id AND datasource_id = @datasource_id AND storage_location_id = @storage_location_id
  AND operation = 'backup' AND status = 'completed' AND deleting_at IS NULL
  AND COALESCE((metadata -> 'verification' ->> 'ok')::boolean, true)
  AND (backup_type = 'full' OR NOT sqlc.arg('only_full')::boolean)
ORDER BY created_at DESC, id DESC
LIMIT 1;

-- name: LockParent :one
SELECT id, generation FROM backup_executions
WHERE id = @id AND status = 'completed' AND deleting_at IS NULL
FOR UPDATE;

-- name: CompletedBackupElsewhere :one
SELECT EXISTS (
    SELECT FROM backup_executions
    WHERE job_id = @job_id AND operation = 'backup' AND status = 'completed' AND deleting_at IS NULL
      AND (storage_location_id <> @storage_location_id OR datasource_id <> @datasource_id));

-- name: CompletedBackupHere :one
SELECT EXISTS (
    SELECT FROM backup_executions
    WHERE job_id = @job_id AND operation = 'backup' AND status = 'completed' AND deleting_at IS NULL
      AND storage_location_id = @storage_location_id AND datasource_id = @datasource_id);

-- Where a generation stands: how far its increments are numbered, and whether a check of any of its
-- backups found damage, also of one that failed for it.
-- name: GenerationState :one
SELECT COALESCE(max(increment_number) FILTER (WHERE status = 'completed'), 0)::int AS increments,
       COALESCE(bool_or(NOT COALESCE((metadata -> 'verification' ->> 'ok')::boolean, true)), false)::boolean AS damaged
FROM backup_executions
WHERE datasource_id = @datasource_id AND generation = @generation AND operation = 'backup'
  AND storage_location_id = @storage_location_id;

-- name: SetParent :execrows
UPDATE backup_executions
SET parent_execution_id = @parent_id, generation = @generation, increment_number = @increment_number
WHERE id = @id AND status IN ('queued', 'running') AND dump_attempt = sqlc.arg('attempt');

-- name: MakeFull :execrows
UPDATE backup_executions
SET backup_type = 'full', parent_execution_id = NULL, generation = @generation, increment_number = 0,
    metadata = metadata || sqlc.arg('part')::jsonb
WHERE id = @id AND status IN ('queued', 'running') AND dump_attempt = sqlc.arg('attempt');
