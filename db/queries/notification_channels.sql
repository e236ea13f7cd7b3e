-- name: CreateChannel :one
INSERT INTO notification_channels (id, name, type, enabled, config, secrets, rules)
VALUES (@id, @name, sqlc.arg('type')::text::alert_channel, @enabled, @config, @secrets, @rules)
RETURNING *;

-- name: GetChannel :one
SELECT * FROM notification_channels WHERE id = @id;

-- name: ListChannels :many
SELECT * FROM notification_channels
WHERE sqlc.narg('before_created_at')::timestamptz IS NULL
   OR (created_at, id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid)
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg('page_size')::int;

-- name: EnabledChannels :many
SELECT * FROM notification_channels WHERE enabled ORDER BY created_at, id;

-- name: UpdateChannel :one
UPDATE notification_channels
SET name = @name, enabled = @enabled, config = @config, secrets = @secrets, rules = @rules, version = version + 1, updated_at = now(),
    failing_since = CASE WHEN sqlc.arg('enabled')::boolean THEN failing_since END, told_failing = told_failing AND sqlc.arg('enabled')::boolean
WHERE id = @id AND (sqlc.arg('expected_version')::bigint = 0 OR version = sqlc.arg('expected_version')::bigint)
RETURNING *;

-- name: LockChannel :one
SELECT id FROM notification_channels WHERE id = @id FOR UPDATE;

-- name: DeleteChannel :execrows
DELETE FROM notification_channels WHERE id = @id;

-- name: ChannelFails :one
UPDATE notification_channels SET failing_since = COALESCE(failing_since, now()) WHERE id = @id
RETURNING name, failing_since::timestamptz AS failing_since, told_failing;

-- name: ChannelFailureTold :exec
UPDATE notification_channels SET told_failing = true WHERE id = @id;

-- name: ChannelWorks :one
UPDATE notification_channels c SET failing_since = NULL, told_failing = false
FROM (SELECT w.id, w.told_failing FROM notification_channels w WHERE w.id = @id AND w.failing_since IS NOT NULL FOR UPDATE) before
WHERE c.id = before.id
RETURNING c.name, before.told_failing;
