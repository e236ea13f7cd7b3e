-- That a sync which had failed succeeds again, and which messages may be there already.

-- +goose Up
ALTER TYPE notification_type ADD VALUE IF NOT EXISTS 'sync_recovered';

-- begun: recipients who may have the message: sending to them began, and what came of it is not known.
ALTER TABLE notification_deliveries ADD COLUMN begun text[] NOT NULL DEFAULT '{}';

-- A value of an enum can not be taken away: it stays, unused.
-- +goose Down
ALTER TABLE notification_deliveries DROP COLUMN begun;
