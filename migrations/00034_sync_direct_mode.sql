-- Syncs: without a storage location the dump streams straight into the restore; SQL runs in the new
-- database before it takes the target's place. Changes of an execution are told as those of backups are.

-- +goose Up
ALTER TABLE database_sync_jobs
    ALTER COLUMN storage_location_id DROP NOT NULL,
    ADD COLUMN sync_options jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(sync_options) = 'object');
CREATE TRIGGER database_sync_executions_notify AFTER INSERT OR UPDATE ON database_sync_executions
    FOR EACH ROW EXECUTE FUNCTION notify_backup_execution();

-- A job without a storage location has no place in the older schema: it goes.
-- +goose Down
DROP TRIGGER database_sync_executions_notify ON database_sync_executions;
DELETE FROM database_sync_jobs WHERE storage_location_id IS NULL;
ALTER TABLE database_sync_jobs
    DROP COLUMN sync_options,
    ALTER COLUMN storage_location_id SET NOT NULL;
