-- What people are told of restores, syncs and drills, and of the job it is about.

-- +goose Up
ALTER TYPE notification_type ADD VALUE IF NOT EXISTS 'restore_success';
ALTER TYPE notification_type ADD VALUE IF NOT EXISTS 'restore_failed';
ALTER TYPE notification_type ADD VALUE IF NOT EXISTS 'sync_failed';
ALTER TYPE notification_type ADD VALUE IF NOT EXISTS 'restore_drill_success';
ALTER TYPE notification_type ADD VALUE IF NOT EXISTS 'restore_drill_failed';
ALTER TYPE notification_entity_type ADD VALUE IF NOT EXISTS 'database_sync_job';
ALTER TYPE notification_entity_type ADD VALUE IF NOT EXISTS 'restore_drill_job';

-- A value of an enum can not be taken away: those types stay, unused.
-- +goose Down
SELECT 1;
