-- name: LockTemplates :exec
SELECT pg_advisory_xact_lock(hashtextextended('dataguardian notification template ' || sqlc.arg('channel')::text || ' ' || sqlc.arg('type')::text, 0));

-- name: AddTemplate :one
INSERT INTO notification_templates (id, channel, type, version, subject, body, html, is_active, created_by)
SELECT sqlc.arg('id')::uuid, sqlc.arg('channel')::text::alert_channel, sqlc.arg('type')::text::notification_type,
       COALESCE(max(t.version), 0) + 1, sqlc.arg('subject')::text, sqlc.arg('body')::text, sqlc.arg('html')::text, sqlc.arg('is_active')::boolean, sqlc.narg('created_by')::uuid
FROM notification_templates t
WHERE t.channel = sqlc.arg('channel')::text::alert_channel AND t.type = sqlc.arg('type')::text::notification_type
RETURNING *;

-- name: GetTemplate :one
SELECT * FROM notification_templates WHERE id = @id;

-- name: ListTemplates :many
SELECT * FROM notification_templates t
WHERE (sqlc.narg('channel')::text IS NULL OR t.channel = sqlc.narg('channel')::text::alert_channel)
  AND (sqlc.narg('type')::text IS NULL OR t.type = sqlc.narg('type')::text::notification_type)
  AND (NOT sqlc.arg('active_only')::boolean OR t.is_active)
  AND (sqlc.narg('before_created_at')::timestamptz IS NULL
       OR (t.created_at, t.id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY t.created_at DESC, t.id DESC
LIMIT sqlc.arg('page_size')::int;

-- name: DeactivateTemplates :exec
UPDATE notification_templates SET is_active = false
WHERE channel = sqlc.arg('channel')::text::alert_channel AND type = sqlc.arg('type')::text::notification_type AND is_active;

-- name: SetTemplateActive :one
UPDATE notification_templates SET is_active = @is_active WHERE id = @id RETURNING *;
