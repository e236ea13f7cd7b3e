-- Sync and drill jobs note a pause of their schedule in Temporal as backup jobs do; a job is overdue from its present schedule
-- on, not from one that it had before; the platform's own schedules are watched; lost copies are found without reading every execution.

-- +goose Up
ALTER TABLE database_sync_jobs ADD COLUMN schedule_pause text NOT NULL DEFAULT '';
ALTER TABLE restore_drill_jobs ADD COLUMN schedule_pause text NOT NULL DEFAULT '';
-- Since when the job has been enabled with this cron and time zone.
ALTER TABLE backup_jobs ADD COLUMN schedule_since timestamptz NOT NULL DEFAULT now();
UPDATE backup_jobs SET schedule_since = created_at;
ALTER TABLE health_states
    DROP CONSTRAINT health_states_entity_type_check,
    ADD CONSTRAINT health_states_entity_type_check CHECK (entity_type IN ('datasource', 'storage_location', 'backup_job', 'pool', 'schedule'));
CREATE INDEX backup_executions_pending_copies_idx ON backup_executions (id)
    WHERE status = 'completed' AND metadata @> '{"storage_results": [{"status": "pending"}]}';

-- +goose Down
DROP INDEX backup_executions_pending_copies_idx;
DELETE FROM health_states WHERE entity_type = 'schedule';
ALTER TABLE health_states
    DROP CONSTRAINT health_states_entity_type_check,
    ADD CONSTRAINT health_states_entity_type_check CHECK (entity_type IN ('datasource', 'storage_location', 'backup_job', 'pool'));
ALTER TABLE backup_jobs DROP COLUMN schedule_since;
ALTER TABLE restore_drill_jobs DROP COLUMN schedule_pause;
ALTER TABLE database_sync_jobs DROP COLUMN schedule_pause;
