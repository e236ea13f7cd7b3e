-- By which request an entry of the audit trail was made: the answer and the access log name it too.

-- +goose Up
ALTER TABLE audit_logs ADD COLUMN request_id text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE audit_logs DROP COLUMN request_id;
