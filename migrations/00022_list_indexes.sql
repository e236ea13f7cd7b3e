-- Indexes for the lists and the dashboard of an installation with a million executions.

-- +goose Up

-- Lists by status or by operation alone: failures and restores are rare among what the newest-first index passes over.
CREATE INDEX backup_executions_status_idx ON backup_executions (status, created_at DESC, id DESC);
CREATE INDEX backup_executions_operation_idx ON backup_executions (operation, created_at DESC, id DESC);

-- The dashboard's days, and what each location keeps, are answered from an index alone. Both hold
-- finished rows only, so that the progress of a running one changes no index.
CREATE INDEX backup_executions_finished_idx ON backup_executions (finished_at)
    INCLUDE (operation, status, size_bytes, compressed_size_bytes) WHERE finished_at IS NOT NULL;
CREATE INDEX backup_executions_stored_idx ON backup_executions (storage_location_id)
    INCLUDE (compressed_size_bytes) WHERE operation = 'backup' AND status = 'completed' AND deleting_at IS NULL;
CREATE INDEX backup_executions_last_good_idx ON backup_executions (job_id, finished_at DESC)
    WHERE operation = 'backup' AND status = 'completed';

-- +goose Down
DROP INDEX backup_executions_last_good_idx;
DROP INDEX backup_executions_stored_idx;
DROP INDEX backup_executions_finished_idx;
DROP INDEX backup_executions_operation_idx;
DROP INDEX backup_executions_status_idx;
