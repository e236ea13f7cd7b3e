-- What lists are filtered by has an index in their order: where few rows match, the list read all others to find them.

-- +goose Up
CREATE INDEX approvals_status_idx ON approvals (status, created_at DESC, id DESC);
CREATE INDEX database_sync_executions_status_idx ON database_sync_executions (status, created_at DESC, id DESC);
CREATE INDEX restore_drill_executions_status_idx ON restore_drill_executions (status, created_at DESC, id DESC);
CREATE INDEX notification_deliveries_status_idx ON notification_deliveries (status, created_at DESC, id DESC);
CREATE INDEX notifications_type_idx ON notifications (type, created_at DESC, id DESC);
CREATE INDEX notifications_severity_idx ON notifications (severity, created_at DESC, id DESC);

-- +goose Down
DROP INDEX notifications_severity_idx;
DROP INDEX notifications_type_idx;
DROP INDEX notification_deliveries_status_idx;
DROP INDEX restore_drill_executions_status_idx;
DROP INDEX database_sync_executions_status_idx;
DROP INDEX approvals_status_idx;
