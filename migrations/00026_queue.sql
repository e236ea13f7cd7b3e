-- Executions wait for one another: those that run, and those that were let in, count against the limits.

-- +goose Up
ALTER TABLE backup_executions
    ADD COLUMN waiting_since timestamptz, -- in the queue; the oldest is let in first
    ADD COLUMN admitted_at   timestamptz, -- let in; its workflow is about to begin it
    ADD COLUMN waiting_for   text NOT NULL DEFAULT ''; -- what people are told, '' when it does not wait
CREATE INDEX backup_executions_waiting_idx ON backup_executions (waiting_since, id) WHERE status = 'queued' AND waiting_since IS NOT NULL;

-- +goose Down
DROP INDEX backup_executions_waiting_idx;
ALTER TABLE backup_executions DROP COLUMN waiting_since, DROP COLUMN admitted_at, DROP COLUMN waiting_for;
