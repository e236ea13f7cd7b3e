-- Whoever begins, ends or lets in an execution holds this lock, so that limits are never passed and nobody is forgotten.
-- name: LockQueue :exec
SELECT pg_advisory_xact_lock(7310742);

-- A place is held for who was let in for longer than a workflow waits before it looks itself (longestPause). One that
-- has not begun by then has no worker, and would keep the others waiting: it gets in line again when it is back.
-- A direct sync is a restore into one datasource that reads another one: it needs a place at both.
-- name: QueueEntry :one
SELECT status, datasource_id, storage_location_id, COALESCE(metadata #>> '{restore,source_datasource_id}', '')::text AS source_id, waiting_since,
       COALESCE(admitted_at > now() - interval '15 minutes', false)::boolean AS admitted
FROM backup_executions WHERE id = @id;

-- What holds a place: it runs, or was let in a moment ago. stranded: people were told that no worker serves its pool.
-- name: HoldingPlaces :many
SELECT e.datasource_id, COALESCE(e.metadata #>> '{restore,source_datasource_id}', '')::text AS source_id, e.storage_location_id,
       (h.announced IS NOT NULL AND h.announced <> '')::boolean AS stranded, count(*) AS executions
FROM backup_executions e
LEFT JOIN datasources d ON d.id = e.datasource_id
LEFT JOIN health_states h ON h.entity_type = 'pool' AND h.entity_id = d.pool
WHERE e.status IN ('queued', 'running') AND (e.status = 'running' OR e.admitted_at > now() - interval '15 minutes') AND e.id <> @except_id
GROUP BY 1, 2, 3, 4;

-- name: WaitInQueue :exec
UPDATE backup_executions SET waiting_since = COALESCE(waiting_since, now()), waiting_for = @waiting_for, admitted_at = NULL
WHERE id = @id AND status = 'queued';

-- name: WaitingExecutions :many
SELECT e.id, e.datasource_id, COALESCE(e.metadata #>> '{restore,source_datasource_id}', '')::text AS source_id, e.storage_location_id,
       (h.announced IS NOT NULL AND h.announced <> '')::boolean AS stranded,
       (e.waiting_since < now() - interval '1 hour')::boolean AS long
FROM backup_executions e
LEFT JOIN datasources d ON d.id = e.datasource_id
LEFT JOIN health_states h ON h.entity_type = 'pool' AND h.entity_id = d.pool
WHERE e.status = 'queued' AND e.waiting_since IS NOT NULL AND e.admitted_at IS NULL
ORDER BY e.waiting_since, e.id;

-- What has waited for long, and longer than an execution in the queue has, the longest first.
-- name: LongWaiting :many
SELECT e.datasource_id, COALESCE(e.metadata #>> '{restore,source_datasource_id}', '')::text AS source_id, e.storage_location_id
FROM backup_executions e
LEFT JOIN datasources d ON d.id = e.datasource_id
LEFT JOIN health_states h ON h.entity_type = 'pool' AND h.entity_id = d.pool
WHERE e.status = 'queued' AND e.waiting_since < now() - interval '1 hour' AND e.admitted_at IS NULL AND e.id <> @except_id
  AND (sqlc.narg('before')::timestamptz IS NULL OR (e.waiting_since, e.id) < (sqlc.narg('before')::timestamptz, @except_id))
  AND COALESCE(h.announced, '') = ''
ORDER BY e.waiting_since, e.id;

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
