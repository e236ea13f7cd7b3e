-- What came of each recipient of a message that has several.

-- +goose Up
-- {"<recipient>": {"state": "sent", "said": "250 ok", "at": "…"}}; see domain.RecipientOutcome.
ALTER TABLE notification_deliveries ADD COLUMN outcomes jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(outcomes) = 'object');

-- +goose Down
ALTER TABLE notification_deliveries DROP COLUMN outcomes;
