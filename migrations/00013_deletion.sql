-- Whose folder of chunks an object is in: Reconcile asks for the executions of a generation before it
-- takes anything there for an orphan.

-- +goose Up
CREATE INDEX backup_executions_generation_idx ON backup_executions (generation) WHERE operation = 'backup';

-- +goose Down
DROP INDEX backup_executions_generation_idx;
