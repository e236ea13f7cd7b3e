-- Channels that fail are told of, what flaps is found by its condition, and no address of a heartbeat stays beside a job.

-- +goose Up
-- failing_since: since when messages to the channel fail; told_failing: people were told of it.
ALTER TABLE notification_channels ADD COLUMN failing_since timestamptz;
ALTER TABLE notification_channels ADD COLUMN told_failing boolean NOT NULL DEFAULT false;

-- A notification that tells a change of a condition names the condition.
CREATE INDEX notifications_condition_idx ON notifications ((metadata ->> 'condition'), created_at DESC) WHERE metadata ? 'condition';

-- The address is a secret of the job alone, which never was of any use elsewhere.
UPDATE backup_executions SET metadata = metadata #- '{options,heartbeat_url}' WHERE metadata #>> '{options,heartbeat_url}' IS NOT NULL;
UPDATE database_sync_jobs SET backup_options = backup_options - 'heartbeat_url' WHERE backup_options ? 'heartbeat_url';

-- +goose Down
DROP INDEX notifications_condition_idx;
ALTER TABLE notification_channels DROP COLUMN told_failing;
ALTER TABLE notification_channels DROP COLUMN failing_since;
