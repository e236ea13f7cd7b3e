-- name: AddNotification :exec
INSERT INTO notifications (id, type, severity, entity_type, entity_id, title, message, metadata)
VALUES (@id, sqlc.arg('type')::text::notification_type, sqlc.arg('severity')::text::notification_severity,
        sqlc.arg('entity_type')::text::notification_entity_type, @entity_id, @title, @message, @metadata);
