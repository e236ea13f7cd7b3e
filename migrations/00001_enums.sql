-- The closed vocabularies of the data model. A value is added by a migration of its own
-- (ALTER TYPE … ADD VALUE); none is ever removed while a row may hold it.

-- +goose Up
CREATE TYPE datasource_type AS ENUM ('postgres', 'mysql', 'mariadb', 'mongodb', 'sqlserver', 'sqlite', 'files');
CREATE TYPE datasource_status AS ENUM ('healthy', 'warning', 'critical', 'unknown');
CREATE TYPE storage_location_type AS ENUM ('local', 's3', 'ssh', 'minio', 'backblaze');
CREATE TYPE storage_location_status AS ENUM ('healthy', 'full', 'unreachable');
CREATE TYPE execution_status AS ENUM ('queued', 'running', 'completed', 'failed', 'cancelled');
CREATE TYPE backup_type AS ENUM ('full', 'incremental', 'differential');
CREATE TYPE health_check_status AS ENUM ('ok', 'timeout', 'auth_failed', 'unreachable', 'error');
CREATE TYPE notification_type AS ENUM (
    'backup_success', 'backup_failed', 'connection_lost', 'connection_restored',
    'storage_full', 'storage_unreachable', 'health_degraded', 'cleanup_completed'
);
CREATE TYPE notification_severity AS ENUM ('info', 'warning', 'critical');
CREATE TYPE notification_entity_type AS ENUM ('datasource', 'backup_job', 'storage_location', 'system');
CREATE TYPE alert_channel AS ENUM ('smtp', 'webhook', 'whatsapp');

-- +goose Down
DROP TYPE alert_channel;
DROP TYPE notification_entity_type;
DROP TYPE notification_severity;
DROP TYPE notification_type;
DROP TYPE health_check_status;
DROP TYPE backup_type;
DROP TYPE execution_status;
DROP TYPE storage_location_status;
DROP TYPE storage_location_type;
DROP TYPE datasource_status;
DROP TYPE datasource_type;
