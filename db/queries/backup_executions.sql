-- name: CreateExecution :exec
INSERT INTO backup_executions (id, job_id, datasource_id, storage_location_id, backup_type, pinned, generation, metadata)
VALUES (@id, @job_id, @datasource_id, @storage_location_id, @backup_type, @pinned, @generation, @metadata);

-- name: GetExecution :one
SELECT id, job_id, datasource_id, storage_location_id, status, backup_type, size_bytes, compressed_size_bytes,
       started_at, finished_at, error_message, pinned, generation, parent_execution_id, increment_number, deleting_at, progress, metadata, created_at, waiting_for
FROM backup_executions WHERE id = @id;

-- A list leaves the logs out: a page of them could be some ten MB.
-- name: ListExecutions :many
SELECT id, job_id, datasource_id, storage_location_id, status, backup_type, size_bytes, compressed_size_bytes,
       started_at, finished_at, error_message, pinned, generation, parent_execution_id, increment_number, deleting_at, progress,
       (metadata - 'execution_logs')::jsonb AS metadata, created_at, waiting_for
FROM backup_executions
WHERE (sqlc.narg('scope')::jsonb IS NULL OR scope_allows(sqlc.narg('scope')::jsonb, datasource_id, storage_location_id, job_id))
  AND (sqlc.narg('job_id')::uuid IS NULL OR job_id = sqlc.narg('job_id'))
  AND (sqlc.narg('datasource_id')::uuid IS NULL OR datasource_id = sqlc.narg('datasource_id'))
  AND (sqlc.narg('storage_location_id')::uuid IS NULL OR storage_location_id = sqlc.narg('storage_location_id'))
  AND (sqlc.narg('status')::execution_status IS NULL OR status = sqlc.narg('status'))
  AND (sqlc.narg('operation')::text IS NULL OR operation = sqlc.narg('operation'))
  AND (NOT sqlc.arg('kept')::boolean OR deleting_at IS NULL)
  AND (sqlc.narg('created_from')::timestamptz IS NULL OR created_at >= sqlc.narg('created_from'))
  AND (sqlc.narg('created_to')::timestamptz IS NULL OR created_at < sqlc.narg('created_to'))
  AND (sqlc.narg('before_created_at')::timestamptz IS NULL
       OR (created_at, id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg('page_size')::int;

-- The newest backup of each of the datasources that can be restored.
-- name: NewestBackups :many
SELECT e.id, e.job_id, e.datasource_id, e.storage_location_id, e.status, e.backup_type, e.size_bytes, e.compressed_size_bytes,
       e.started_at, e.finished_at, e.error_message, e.pinned, e.generation, e.parent_execution_id, e.increment_number, e.deleting_at, e.progress,
       (e.metadata - 'execution_logs')::jsonb AS metadata, e.created_at, e.waiting_for
FROM backup_executions e
WHERE e.id IN (
    SELECT (SELECT newest.id FROM backup_executions newest
            WHERE newest.datasource_id = wanted.id AND newest.operation = 'backup' AND newest.status = 'completed' AND newest.deleting_at IS NULL
              AND (sqlc.narg('scope')::jsonb IS NULL
                   OR scope_allows(sqlc.narg('scope')::jsonb, newest.datasource_id, newest.storage_location_id, newest.job_id))
            ORDER BY newest.created_at DESC, newest.id DESC LIMIT 1)
    FROM unnest(sqlc.arg('datasource_ids')::uuid[]) AS wanted (id));

-- name: BeginExecution :execrows
UPDATE backup_executions
SET status = 'running', started_at = COALESCE(started_at, now()), waiting_for = '',
    metadata = metadata || jsonb_build_object('workflow_id', sqlc.arg('workflow_id')::text, 'run_id', sqlc.arg('run_id')::text)
WHERE id = @id AND status IN ('queued', 'running');

-- name: UpdateProgress :exec
UPDATE backup_executions SET progress = @progress
WHERE id = @id AND status IN ('queued', 'running');

-- The newest lines stay; the row lock makes concurrent writers append one after the other.
-- name: AppendLogs :execrows
UPDATE backup_executions
SET metadata = jsonb_set(metadata, '{execution_logs}', (
    SELECT COALESCE(jsonb_agg(line ORDER BY position), '[]')
    FROM (
        SELECT line, position
        FROM jsonb_array_elements(COALESCE(metadata -> 'execution_logs', '[]') || sqlc.arg('lines')::jsonb) WITH ORDINALITY AS logs (line, position)
        ORDER BY position DESC
        LIMIT sqlc.arg('max_lines')::int
    ) newest
))
WHERE id = @id;

-- name: FinishExecution :execrows
UPDATE backup_executions
SET status = @status, finished_at = now(), started_at = COALESCE(started_at, now()), waiting_for = '', error_message = @error_message,
    metadata = metadata || sqlc.arg('outcome')::jsonb,
    progress = CASE WHEN @status = 'completed'::execution_status THEN progress || '{"phase": "done", "rate": 0, "eta": 0}' ELSE progress END
WHERE id = @id AND status IN ('queued', 'running')
  AND (sqlc.narg('only_from')::execution_status IS NULL OR status = sqlc.narg('only_from'));

-- name: SetDumpResult :execrows
UPDATE backup_executions
SET size_bytes = @size_bytes, compressed_size_bytes = @compressed_size_bytes, metadata = metadata || sqlc.arg('result')::jsonb
WHERE id = @id AND status IN ('queued', 'running') AND dump_attempt = sqlc.arg('attempt');

-- name: MergeMetadata :execrows
UPDATE backup_executions SET metadata = metadata || sqlc.arg('part')::jsonb WHERE id = @id;

-- name: ExecutionStatus :one
SELECT status FROM backup_executions WHERE id = @id;

-- name: ClaimDump :execrows
UPDATE backup_executions SET dump_attempt = sqlc.arg('attempt')
WHERE id = @id AND status IN ('queued', 'running') AND dump_attempt <= sqlc.arg('attempt');

-- name: DumpHolder :one
SELECT status, dump_attempt FROM backup_executions WHERE id = @id;

-- Moves a backup to another storage location. What earlier attempts stored and chose does not count
-- there: the row is as it was queued, and only attempts after this one may write.
-- name: MoveBackup :execrows
UPDATE backup_executions
SET storage_location_id = @storage_location_id, dump_attempt = sqlc.arg('attempt'),
    backup_type = COALESCE(metadata #>> '{options,backup_type}', 'full')::backup_type,
    parent_execution_id = NULL, generation = @generation, increment_number = 0,
    metadata = metadata - '{manifest_path,manifest_sha256,full_reason,verification}'::text[]
WHERE id = @id AND operation = 'backup' AND status IN ('queued', 'running') AND dump_attempt <= sqlc.arg('attempt');

-- Which copy a restore reads.
-- name: SetRestoreSource :execrows
UPDATE backup_executions SET storage_location_id = @storage_location_id
WHERE id = @id AND operation = 'restore' AND status IN ('queued', 'running');

-- name: SetVerification :execrows
UPDATE backup_executions
SET metadata = metadata || sqlc.arg('part')::jsonb, verified_at = COALESCE(sqlc.narg('read_at')::timestamptz, verified_at)
WHERE id = @id;
