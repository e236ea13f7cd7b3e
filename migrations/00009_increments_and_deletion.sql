-- What an incremental or differential backup builds on, and the mark of a backup that is being
-- deleted: from the mark on nothing may restore it, verify it or build on it.

-- +goose Up
ALTER TABLE backup_executions
    ADD COLUMN parent_execution_id uuid REFERENCES backup_executions (id) ON DELETE SET NULL,
    ADD COLUMN deleting_at timestamptz;
CREATE INDEX backup_executions_parent_idx ON backup_executions (parent_execution_id) WHERE parent_execution_id IS NOT NULL;
CREATE INDEX backup_executions_deleting_idx ON backup_executions (deleting_at) WHERE deleting_at IS NOT NULL;

-- +goose Down
DROP INDEX backup_executions_deleting_idx;
DROP INDEX backup_executions_parent_idx;
ALTER TABLE backup_executions DROP COLUMN deleting_at, DROP COLUMN parent_execution_id;
