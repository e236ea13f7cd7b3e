-- That a sync which had failed succeeds again.

-- +goose Up
ALTER TYPE notification_type ADD VALUE IF NOT EXISTS 'sync_recovered';

-- A value of an enum can not be taken away: it stays, unused.
-- +goose Down
SELECT 1;
