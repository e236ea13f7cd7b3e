-- Whoever begins, ends or lets in an execution holds this lock, so that limits are never passed and nobody is forgotten.
-- name: LockQueue :exec
SELECT pg_advisory_xact_lock(7310742);

-- A place is held for who was let in for longer than a workflow waits before it looks itself (longestPause). One that
-- has not begun by then has no worker, and would keep the others waiting: it gets in line again when it is back.
-- name: QueueEntry :one
SELECT status, datasource_id, storage_location_id, COALESCE(admitted_at > now() - interval '15 minutes', false)::boolean AS admitted
FROM backup_executions WHERE id = @id;

-- What holds a place: it runs, or was let in a moment ago.
-- name: HoldingPlaces :many
SELECT datasource_id, storage_location_id, count(*) AS executions
FROM backup_executions
WHERE status IN ('queued', 'running') AND (status = 'running' OR admitted_at > now() - interval '15 minutes') AND id <> @except_id
GROUP BY datasource_id, storage_location_id;

-- name: WaitInQueue :exec
UPDATE backup_executions SET waiting_since = COALESCE(waiting_since, now()), waiting_for = @waiting_for, admitted_at = NULL
WHERE id = @id AND status = 'queued';

-- name: WaitingExecutions :many
SELECT id, datasource_id, storage_location_id, waiting_for
FROM backup_executions
WHERE status = 'queued' AND waiting_since IS NOT NULL AND admitted_at IS NULL
ORDER BY waiting_since, id;

-- name: AdmitExecution :exec
UPDATE backup_executions SET admitted_at = now(), waiting_for = '' WHERE id = @id AND status = 'queued';

-- name: AdmittedExecutions :many
SELECT id, COALESCE(metadata ->> 'workflow_id', '')::text AS workflow_id
FROM backup_executions
WHERE status = 'queued' AND waiting_since IS NOT NULL AND admitted_at > now() - interval '15 minutes'
ORDER BY admitted_at;

-- name: DatasourceName :one
SELECT name FROM datasources WHERE id = @id;

-- name: StorageLocationName :one
SELECT name FROM storage_locations WHERE id = @id;
