-- name: AddDelivery :exec
INSERT INTO notification_deliveries (id, notification_id, channel_id, channel_name, channel_type, status, resend_of, due_at, flapping, error_message, reached, finished_at)
VALUES (@id, @notification_id, @channel_id, @channel_name, @channel_type, @status, @resend_of, @due_at, @flapping, @error_message,
        COALESCE(sqlc.arg('reached')::text[], '{}'),
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
ORDER BY attempts, created_at LIMIT 500;

-- What waits for a channel that is gone can reach nobody. One that a worker has taken is left to it for a while: it may
-- be on its way right now, and its next attempt sees that the channel is gone.
-- name: DropOrphans :exec
UPDATE notification_deliveries SET status = 'dropped', finished_at = now(), error_message = 'the channel was deleted'
WHERE channel_id IS NULL AND channel_type <> 'heartbeat'
  AND (status = 'pending' OR (status = 'sending' AND COALESCE(started_at, created_at) < now() - interval '30 minutes'));

-- With what is told in the same message.
-- name: DropWaiting :exec
UPDATE notification_deliveries d SET status = 'dropped', finished_at = now(), error_message = @reason
WHERE d.channel_id = @channel_id AND (d.status = 'pending' OR (d.status = 'sending' AND d.sent_with IN (
    SELECT l.id FROM notification_deliveries l WHERE l.channel_id = @channel_id AND l.status = 'pending')));

-- name: SendingOf :many
SELECT id FROM notification_deliveries WHERE channel_id = @channel_id AND status = 'sending' AND sent_with IS NULL
ORDER BY created_at, id;

-- What waits for a channel, the oldest first.
-- tried: an attempt has failed. alone: it is told in no other message, as some have it already, or somebody asked for it.
-- name: WaitingFor :many
SELECT id, created_at, due_at, (attempts > 0)::boolean AS tried, (resend_of IS NOT NULL OR reached <> '{}')::boolean AS alone
FROM notification_deliveries
WHERE channel_id = @channel_id AND status = 'pending'
ORDER BY created_at, id
LIMIT sqlc.arg('most')::int;

-- When the messages of the last minute began, the oldest first.
-- name: MessagesSince :many
SELECT started_at::timestamptz AS started_at FROM notification_deliveries
WHERE channel_id = @channel_id AND sent_with IS NULL AND started_at > sqlc.arg('since')::timestamptz
ORDER BY started_at;

-- name: TakeDelivery :exec
UPDATE notification_deliveries SET status = 'sending', started_at = COALESCE(started_at, now()) WHERE id = @id AND status = 'pending';

-- With them goes what was to be told with them.
-- name: SendWith :exec
UPDATE notification_deliveries SET status = 'sending', sent_with = sqlc.arg('leader')::uuid
WHERE (id = ANY(sqlc.arg('ids')::uuid[]) AND status = 'pending')
   OR (sent_with = ANY(sqlc.arg('ids')::uuid[]) AND status = 'sending');

-- name: ClaimDelivery :one
UPDATE notification_deliveries SET status = 'sending', started_at = COALESCE(started_at, now()), attempts = attempts + 1
WHERE id = @id AND status IN ('pending', 'sending')
RETURNING *;

-- A resend tells what the delivery told that it repeats, all of a digest.
-- name: NotificationsOfDelivery :many
WITH RECURSIVE origins AS (
    SELECT o.id, o.resend_of FROM notification_deliveries o WHERE o.id = @id
    UNION
    SELECT o.id, o.resend_of FROM notification_deliveries o JOIN origins r ON o.id = r.resend_of
)
SELECT n.* FROM notifications n
WHERE n.id IN (SELECT d.notification_id FROM notification_deliveries d
               WHERE d.id IN (SELECT origins.id FROM origins) OR d.sent_with IN (SELECT origins.id FROM origins))
ORDER BY n.created_at, n.id;

-- outcome: a document with the recipient's.
-- name: MarkReached :exec
UPDATE notification_deliveries
SET reached = CASE WHEN sqlc.arg('recipient')::text = ANY(reached) THEN reached ELSE array_append(reached, sqlc.arg('recipient')::text) END,
    outcomes = outcomes || sqlc.arg('outcome')::jsonb
WHERE id = @id;

-- name: MarkBegun :exec
UPDATE notification_deliveries SET begun = array_append(begun, sqlc.arg('recipient')::text)
WHERE id = @id AND NOT (sqlc.arg('recipient')::text = ANY(begun));

-- not_begun: takes MarkBegun back.
-- name: MarkNotReached :exec
UPDATE notification_deliveries
SET begun = CASE WHEN sqlc.arg('not_begun')::boolean THEN array_remove(begun, sqlc.arg('recipient')::text) ELSE begun END,
    outcomes = outcomes || sqlc.arg('outcome')::jsonb
WHERE id = @id;

-- due_at: not before the server wants to be asked again.
-- name: NoteDeliveryError :exec
UPDATE notification_deliveries SET error_message = @error_message, due_at = GREATEST(due_at, sqlc.arg('not_before')::timestamptz) WHERE id = @id AND status = 'sending';

-- The end of a delivery is that of everything sent with it. What was dropped or postponed while it was under way and
-- arrived all the same is sent.
-- name: FinishDelivery :execrows
UPDATE notification_deliveries
SET status = @status, finished_at = now(), latency_ms = @latency_ms, answer = @answer, error_message = @error_message
WHERE (id = @id OR sent_with = @id)
  AND (status = 'sending' OR (status IN ('dropped', 'pending') AND sqlc.arg('status')::text = 'sent' AND (attempts > 0 OR sent_with = @id)));

-- One that is tried again later makes room for the others of its channel. Not for heartbeats: nothing waits behind them.
-- name: PostponeDelivery :one
UPDATE notification_deliveries SET status = 'pending', due_at = GREATEST(due_at, sqlc.arg('due_at')::timestamptz), error_message = @error_message
WHERE id = @id AND status = 'sending' AND channel_type <> 'heartbeat' AND channel_id IS NOT NULL
  AND started_at > sqlc.arg('since')::timestamptz
RETURNING *;

-- name: CollapseWaiting :exec
UPDATE notification_deliveries d SET status = 'collapsed', finished_at = now(), error_message = @reason
FROM notifications n
WHERE n.id = d.notification_id AND d.channel_id = @channel_id AND d.status = 'pending' AND d.flapping AND d.due_at > now()
  AND d.attempts = 0 AND NOT EXISTS (SELECT FROM notification_deliveries f WHERE f.sent_with = d.id)
  AND n.metadata ->> 'condition' IS NOT DISTINCT FROM sqlc.narg('condition')::text
  AND (sqlc.narg('condition')::text IS NOT NULL
       OR (n.entity_type = sqlc.arg('entity_type')::text::notification_entity_type AND n.entity_id = sqlc.narg('entity_id')::uuid));

