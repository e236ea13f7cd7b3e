-- How notifications reach people: the channels, and one delivery for each notification and channel.

-- +goose Up
-- All secrets of a channel are one sealed document: headers have names of their own choosing.
CREATE TABLE notification_channels (
    id         uuid PRIMARY KEY,
    name       text NOT NULL CHECK (btrim(name) <> '' AND octet_length(name) <= 200),
    type       alert_channel NOT NULL,
    enabled    boolean NOT NULL DEFAULT true,
    config     jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(config) = 'object'),
    secrets    text NOT NULL DEFAULT '',
    rules      jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(rules) = 'object'),
    version    bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX notification_channels_name_key ON notification_channels (lower(name));
CREATE INDEX notification_channels_created_at_idx ON notification_channels (created_at DESC, id DESC);

-- dispatched_at: since when its deliveries exist. What was written before there were channels stays as it is.
ALTER TABLE notifications ADD COLUMN dispatched_at timestamptz;
UPDATE notifications SET dispatched_at = now();
CREATE INDEX notifications_undispatched_idx ON notifications (created_at, id) WHERE dispatched_at IS NULL;

-- pending: waits. sending: a worker has taken it. The others are ends: sent (alone, or with the others
-- of sent_with), failed, collapsed (a later one says it all) and dropped (its channel was deleted or switched off).
CREATE TABLE notification_deliveries (
    id              uuid PRIMARY KEY,
    notification_id uuid NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    channel_id      uuid REFERENCES notification_channels (id) ON DELETE SET NULL,
    channel_name    text NOT NULL DEFAULT '',
    channel_type    text NOT NULL CHECK (channel_type IN ('smtp', 'webhook', 'whatsapp', 'heartbeat')),
    status          text NOT NULL DEFAULT 'pending'
                    CHECK (status IN ('pending', 'sending', 'sent', 'failed', 'collapsed', 'dropped')),
    sent_with       uuid REFERENCES notification_deliveries (id) ON DELETE SET NULL,
    resend_of       uuid REFERENCES notification_deliveries (id) ON DELETE SET NULL,
    due_at          timestamptz NOT NULL DEFAULT now(),
    flapping        boolean NOT NULL DEFAULT false,
    attempts        integer NOT NULL DEFAULT 0,
    reached         text[] NOT NULL DEFAULT '{}',
    latency_ms      bigint CHECK (latency_ms >= 0),
    answer          text NOT NULL DEFAULT '',
    error_message   text NOT NULL DEFAULT '',
    started_at      timestamptz,
    finished_at     timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CHECK ((status IN ('pending', 'sending')) = (finished_at IS NULL))
);
-- One delivery a notification and channel, whatever crashes; a resend is asked for.
CREATE UNIQUE INDEX notification_deliveries_once ON notification_deliveries (notification_id, channel_id, channel_type)
    WHERE resend_of IS NULL AND channel_id IS NOT NULL;
CREATE UNIQUE INDEX notification_deliveries_one_heartbeat ON notification_deliveries (notification_id)
    WHERE resend_of IS NULL AND channel_type = 'heartbeat';
CREATE INDEX notification_deliveries_created_at_idx ON notification_deliveries (created_at DESC, id DESC);
CREATE INDEX notification_deliveries_channel_id_idx ON notification_deliveries (channel_id, created_at DESC, id DESC);
CREATE INDEX notification_deliveries_open_idx ON notification_deliveries (channel_id, created_at, id) WHERE status IN ('pending', 'sending');
CREATE INDEX notification_deliveries_notification_id_idx ON notification_deliveries (notification_id);
CREATE INDEX notification_deliveries_sent_with_idx ON notification_deliveries (sent_with);
CREATE INDEX notification_deliveries_resend_of_idx ON notification_deliveries (resend_of);

-- Whoever listens learns of new notifications when their transaction commits.
-- +goose StatementBegin
CREATE FUNCTION notify_notification() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('notifications', '');
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER notifications_notify AFTER INSERT ON notifications
    FOR EACH STATEMENT EXECUTE FUNCTION notify_notification();

-- +goose Down
DROP TRIGGER notifications_notify ON notifications;
DROP FUNCTION notify_notification();
DROP TABLE notification_deliveries;
ALTER TABLE notifications DROP COLUMN dispatched_at;
DROP TABLE notification_channels;
