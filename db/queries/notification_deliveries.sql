-- name: AddDelivery :exec
INSERT INTO notification_deliveries (id, notification_id, channel_id, channel_name, channel_type, status, resend_of, due_at, flapping, error_message, finished_at)
VALUES (@id, @notification_id, @channel_id, @channel_name, @channel_type, @status, @resend_of, @due_at, @flapping, @error_message,
        CASE WHEN sqlc.arg('status')::text IN ('pending', 'sending') THEN NULL ELSE now() END)
ON CONFLICT DO NOTHING;

-- name: GetDelivery :one
SELECT * FROM notification_deliveries WHERE id = @id;

-- name: ListDeliveries :many
SELECT * FROM notification_deliveries d
WHERE (sqlc.narg('channel_id')::uuid IS NULL OR d.channel_id = sqlc.narg('channel_id')::uuid)
  AND (sqlc.narg('notification_id')::uuid IS NULL OR d.notification_id = sqlc.narg('notification_id')::uuid)
  AND (sqlc.narg('status')::text IS NULL OR d.status = sqlc.narg('status')::text)
  AND (sqlc.narg('before_created_at')::timestamptz IS NULL
       OR (d.created_at, d.id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY d.created_at DESC, d.id DESC
LIMIT sqlc.arg('page_size')::int;

-- name: ChannelsWithOpenDeliveries :many
SELECT DISTINCT d.channel_id::uuid AS channel_id FROM notification_deliveries d
WHERE d.status IN ('pending', 'sending') AND d.channel_id IS NOT NULL;

-- name: OpenHeartbeats :many
SELECT id FROM notification_deliveries WHERE status IN ('pending', 'sending') AND channel_type = 'heartbeat'
ORDER BY created_at LIMIT 500;

-- What waits for a channel that is gone can reach nobody.
-- name: DropOrphans :exec
UPDATE notification_deliveries SET status = 'dropped', finished_at = now(), error_message = 'the channel was deleted'
WHERE status IN ('pending', 'sending') AND channel_id IS NULL AND channel_type <> 'heartbeat';

-- name: DropWaiting :exec
UPDATE notification_deliveries SET status = 'dropped', finished_at = now(), error_message = @reason
WHERE channel_id = @channel_id AND status = 'pending';

-- name: SendingOf :many
SELECT id FROM notification_deliveries WHERE channel_id = @channel_id AND status = 'sending' AND sent_with IS NULL
ORDER BY created_at, id;

-- What waits for a channel, the oldest first.
-- name: WaitingFor :many
SELECT id, created_at, due_at FROM notification_deliveries
WHERE channel_id = @channel_id AND status = 'pending'
ORDER BY created_at, id
LIMIT sqlc.arg('most')::int;

-- When the messages of the last minute began, the oldest first.
-- name: MessagesSince :many
SELECT started_at::timestamptz AS started_at FROM notification_deliveries
WHERE channel_id = @channel_id AND sent_with IS NULL AND started_at > sqlc.arg('since')::timestamptz
ORDER BY started_at;

-- name: TakeDelivery :exec
UPDATE notification_deliveries SET status = 'sending', started_at = now() WHERE id = @id AND status = 'pending';

-- name: SendWith :exec
UPDATE notification_deliveries SET status = 'sending', sent_with = sqlc.arg('leader')::uuid
WHERE id = ANY(sqlc.arg('ids')::uuid[]) AND status = 'pending';

-- name: ClaimDelivery :one
UPDATE notification_deliveries SET status = 'sending', started_at = COALESCE(started_at, now()), attempts = attempts + 1
WHERE id = @id AND status IN ('pending', 'sending')
RETURNING *;

-- name: NotificationsOfDelivery :many
SELECT n.* FROM notifications n JOIN notification_deliveries d ON d.notification_id = n.id
WHERE d.id = @id OR d.sent_with = @id
ORDER BY n.created_at, n.id;

-- name: MarkReached :exec
UPDATE notification_deliveries SET reached = array_append(reached, sqlc.arg('recipient')::text)
WHERE id = @id AND NOT (sqlc.arg('recipient')::text = ANY(reached));

-- name: NoteDeliveryError :exec
UPDATE notification_deliveries SET error_message = @error_message WHERE id = @id AND status = 'sending';

-- The end of a delivery is that of everything sent with it.
-- name: FinishDelivery :exec
UPDATE notification_deliveries
SET status = @status, finished_at = now(), latency_ms = @latency_ms, answer = @answer, error_message = @error_message
WHERE (id = @id OR sent_with = @id) AND status = 'sending';

-- name: CollapseWaiting :exec
UPDATE notification_deliveries d SET status = 'collapsed', finished_at = now(), error_message = @reason
FROM notifications n
WHERE n.id = d.notification_id AND d.channel_id = @channel_id AND d.status = 'pending' AND d.flapping AND d.due_at > now()
  AND n.entity_type = sqlc.arg('entity_type')::text::notification_entity_type AND n.entity_id = @entity_id;

-- name: LatestDelivery :one
SELECT d.status::text AS status, d.started_at, d.finished_at, d.error_message FROM notification_deliveries d
WHERE d.channel_id = @channel_id AND d.status IN ('sent', 'failed')
ORDER BY d.created_at DESC, d.id DESC LIMIT 1;
