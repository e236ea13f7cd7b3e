-- name: AddNotification :exec
INSERT INTO notifications (id, type, severity, entity_type, entity_id, title, message, metadata)
VALUES (@id, sqlc.arg('type')::text::notification_type, sqlc.arg('severity')::text::notification_severity,
        sqlc.arg('entity_type')::text::notification_entity_type, @entity_id, @title, @message, @metadata);

-- name: GetNotification :one
SELECT * FROM notifications
WHERE id = @id AND (sqlc.narg('scopes')::jsonb IS NULL OR entity_in_scope(sqlc.narg('scopes')::jsonb, entity_type, entity_id));

-- The condition of the scope is entity_in_scope, written out: as a function with subselects it would be a query of its own for each row.
-- name: ListNotifications :many
SELECT * FROM notifications n
WHERE (sqlc.narg('scopes')::jsonb IS NULL OR COALESCE(CASE n.entity_type
        WHEN 'datasource' THEN scope_allows(sqlc.narg('scopes')::jsonb -> 'datasource', n.entity_id, NULL, NULL)
        WHEN 'storage_location' THEN scope_allows(sqlc.narg('scopes')::jsonb -> 'storage_location', NULL, n.entity_id, NULL)
        WHEN 'backup_job' THEN (SELECT scope_allows(sqlc.narg('scopes')::jsonb -> 'all', b.datasource_id, b.storage_location_id, b.id) FROM backup_jobs b WHERE b.id = n.entity_id)
        WHEN 'database_sync_job' THEN (SELECT sync_in_scope(sqlc.narg('scopes')::jsonb -> 'all', y.source_datasource_id, y.target_datasource_id, y.storage_location_id)
                                       FROM database_sync_jobs y WHERE y.id = n.entity_id)
        WHEN 'restore_drill_job' THEN (SELECT drill_belongs_in_scope(sqlc.narg('scopes')::jsonb -> 'all', r.datasource_id, r.target_datasource_id, b.storage_location_id, r.backup_job_id)
                                       FROM restore_drill_jobs r LEFT JOIN backup_jobs b ON b.id = r.backup_job_id WHERE r.id = n.entity_id)
    END, false))
  AND (NOT sqlc.arg('unread_only')::boolean OR n.read_at IS NULL)
  AND (sqlc.narg('type')::text IS NULL OR n.type = sqlc.narg('type')::text::notification_type)
  AND (sqlc.narg('severity')::text IS NULL OR n.severity = sqlc.narg('severity')::text::notification_severity)
  AND (sqlc.narg('entity_type')::text IS NULL OR n.entity_type = sqlc.narg('entity_type')::text::notification_entity_type)
  AND (sqlc.narg('entity_id')::uuid IS NULL OR n.entity_id = sqlc.narg('entity_id')::uuid)
  AND (sqlc.narg('execution_id')::text IS NULL
       OR (n.metadata ? 'execution_id' AND n.metadata ->> 'execution_id' = sqlc.narg('execution_id')::text))
  AND (sqlc.narg('created_from')::timestamptz IS NULL OR n.created_at >= sqlc.narg('created_from')::timestamptz)
  AND (sqlc.narg('created_to')::timestamptz IS NULL OR n.created_at < sqlc.narg('created_to')::timestamptz)
  AND (sqlc.narg('before_created_at')::timestamptz IS NULL
       OR (n.created_at, n.id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY n.created_at DESC, n.id DESC
LIMIT sqlc.arg('page_size')::int;

-- name: CountUnreadNotifications :one
SELECT count(*) FROM notifications n
WHERE n.read_at IS NULL
  AND (sqlc.narg('scopes')::jsonb IS NULL OR COALESCE(CASE n.entity_type
        WHEN 'datasource' THEN scope_allows(sqlc.narg('scopes')::jsonb -> 'datasource', n.entity_id, NULL, NULL)
        WHEN 'storage_location' THEN scope_allows(sqlc.narg('scopes')::jsonb -> 'storage_location', NULL, n.entity_id, NULL)
        WHEN 'backup_job' THEN (SELECT scope_allows(sqlc.narg('scopes')::jsonb -> 'all', b.datasource_id, b.storage_location_id, b.id) FROM backup_jobs b WHERE b.id = n.entity_id)
        WHEN 'database_sync_job' THEN (SELECT sync_in_scope(sqlc.narg('scopes')::jsonb -> 'all', y.source_datasource_id, y.target_datasource_id, y.storage_location_id)
                                       FROM database_sync_jobs y WHERE y.id = n.entity_id)
        WHEN 'restore_drill_job' THEN (SELECT drill_belongs_in_scope(sqlc.narg('scopes')::jsonb -> 'all', r.datasource_id, r.target_datasource_id, b.storage_location_id, r.backup_job_id)
                                       FROM restore_drill_jobs r LEFT JOIN backup_jobs b ON b.id = r.backup_job_id WHERE r.id = n.entity_id)
    END, false));

-- name: MarkNotificationRead :one
UPDATE notifications SET read_at = COALESCE(read_at, now())
WHERE id = @id AND (sqlc.narg('scopes')::jsonb IS NULL OR entity_in_scope(sqlc.narg('scopes')::jsonb, entity_type, entity_id))
RETURNING *;

-- name: MarkNotificationsRead :execrows
UPDATE notifications n SET read_at = now()
WHERE n.read_at IS NULL AND n.created_at <= sqlc.arg('until')::timestamptz
  AND (sqlc.narg('scopes')::jsonb IS NULL OR COALESCE(CASE n.entity_type
        WHEN 'datasource' THEN scope_allows(sqlc.narg('scopes')::jsonb -> 'datasource', n.entity_id, NULL, NULL)
        WHEN 'storage_location' THEN scope_allows(sqlc.narg('scopes')::jsonb -> 'storage_location', NULL, n.entity_id, NULL)
        WHEN 'backup_job' THEN (SELECT scope_allows(sqlc.narg('scopes')::jsonb -> 'all', b.datasource_id, b.storage_location_id, b.id) FROM backup_jobs b WHERE b.id = n.entity_id)
        WHEN 'database_sync_job' THEN (SELECT sync_in_scope(sqlc.narg('scopes')::jsonb -> 'all', y.source_datasource_id, y.target_datasource_id, y.storage_location_id)
                                       FROM database_sync_jobs y WHERE y.id = n.entity_id)
        WHEN 'restore_drill_job' THEN (SELECT drill_belongs_in_scope(sqlc.narg('scopes')::jsonb -> 'all', r.datasource_id, r.target_datasource_id, b.storage_location_id, r.backup_job_id)
                                       FROM restore_drill_jobs r LEFT JOIN backup_jobs b ON b.id = r.backup_job_id WHERE r.id = n.entity_id)
    END, false));

-- name: NotificationHolders :many
SELECT ('delivery ' || d.id || ' to ' || COALESCE(NULLIF(d.channel_name, ''), d.channel_type))::text AS holder
FROM notification_deliveries d
WHERE d.notification_id = @id AND d.status IN ('pending', 'sending')
UNION ALL
SELECT 'a worker that sends it to the channels' FROM notifications n WHERE n.id = @id AND n.dispatched_at IS NULL
LIMIT sqlc.arg('max_holders')::int;

-- name: LockNotification :one
SELECT id FROM notifications WHERE id = @id FOR UPDATE;

-- name: DeleteNotification :execrows
DELETE FROM notifications WHERE id = @id;

-- name: UndispatchedNotifications :many
SELECT * FROM notifications WHERE dispatched_at IS NULL
ORDER BY created_at, id
LIMIT sqlc.arg('most')::int
FOR UPDATE SKIP LOCKED;

-- name: MarkDispatched :exec
UPDATE notifications SET dispatched_at = now() WHERE id = @id;

-- What was told about a source's state lately, the newest first.
-- name: StatesOf :many
SELECT n.type::text AS type, n.title, n.created_at FROM notifications n
WHERE n.entity_type = sqlc.arg('entity_type')::text::notification_entity_type AND n.entity_id = @entity_id
  AND n.type IN ('connection_lost', 'connection_restored', 'storage_full', 'storage_unreachable')
  AND (n.created_at, n.id) < (sqlc.arg('before')::timestamptz, sqlc.arg('before_id')::uuid)
ORDER BY n.created_at DESC, n.id DESC
LIMIT sqlc.arg('most')::int;

-- The earlier changes of a condition, the newest first.
-- name: ChangesOf :many
SELECT n.type::text AS type, n.title, n.created_at FROM notifications n
WHERE n.metadata ? 'condition' AND n.metadata ->> 'condition' = sqlc.arg('condition')::text
  AND (n.created_at, n.id) < (sqlc.arg('before')::timestamptz, sqlc.arg('before_id')::uuid)
ORDER BY n.created_at DESC, n.id DESC
LIMIT sqlc.arg('most')::int;

-- name: TagsOf :many
SELECT DISTINCT tag::text FROM (
    SELECT unnest(d.tags) AS tag FROM datasources d WHERE d.id = sqlc.narg('datasource_id')::uuid
    UNION ALL
    SELECT unnest(s.tags) FROM storage_locations s WHERE s.id = sqlc.narg('storage_location_id')::uuid
    UNION ALL
    SELECT unnest(d.tags) FROM datasources d WHERE d.id IN (
        SELECT b.datasource_id FROM backup_jobs b WHERE b.id = sqlc.narg('job_id')::uuid
        UNION ALL SELECT r.datasource_id FROM restore_drill_jobs r WHERE r.id = sqlc.narg('job_id')::uuid
        UNION ALL SELECT y.source_datasource_id FROM database_sync_jobs y WHERE y.id = sqlc.narg('job_id')::uuid
        UNION ALL SELECT y.target_datasource_id FROM database_sync_jobs y WHERE y.id = sqlc.narg('job_id')::uuid)
) tags ORDER BY 1;

-- name: WakeDispatcher :exec
SELECT pg_notify('notifications', '');
