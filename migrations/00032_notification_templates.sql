-- Templates have an HTML part for mail.

-- +goose Up
ALTER TABLE notification_templates ADD COLUMN html text NOT NULL DEFAULT '';
CREATE INDEX notification_templates_created_at_idx ON notification_templates (created_at DESC, id DESC);

-- +goose Down
DROP INDEX notification_templates_created_at_idx;
ALTER TABLE notification_templates DROP COLUMN html;
