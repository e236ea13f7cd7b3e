-- Global settings, and the notification templates: saving one makes a new version, one version of
-- each channel and type is active.

-- +goose Up
CREATE TABLE system_settings (
    key        text PRIMARY KEY CHECK (key ~ '^[a-z0-9_]+(\.[a-z0-9_]+)*$'),
    value      jsonb NOT NULL,
    updated_by uuid REFERENCES users (id) ON DELETE SET NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX system_settings_updated_by_idx ON system_settings (updated_by);

CREATE TABLE notification_templates (
    id         uuid PRIMARY KEY,
    channel    alert_channel NOT NULL,
    type       notification_type NOT NULL,
    version    integer NOT NULL CHECK (version > 0),
    subject    text NOT NULL DEFAULT '',
    body       text NOT NULL,
    is_active  boolean NOT NULL DEFAULT false,
    created_by uuid REFERENCES users (id) ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (channel, type, version)
);
CREATE UNIQUE INDEX notification_templates_one_active ON notification_templates (channel, type) WHERE is_active;
CREATE INDEX notification_templates_created_by_idx ON notification_templates (created_by);

-- +goose Down
DROP TABLE notification_templates;
DROP TABLE system_settings;
