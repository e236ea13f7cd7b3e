-- Sync: a backup of one side restored into the other. An execution links the two executions it is
-- made of and outlives its job.

-- +goose Up
CREATE TABLE database_sync_jobs (
    id                   uuid PRIMARY KEY,
    name                 text NOT NULL CHECK (btrim(name) <> '' AND octet_length(name) <= 200),
    source_datasource_id uuid NOT NULL REFERENCES datasources (id) ON DELETE RESTRICT,
    target_datasource_id uuid NOT NULL REFERENCES datasources (id) ON DELETE RESTRICT,
    storage_location_id  uuid NOT NULL REFERENCES storage_locations (id) ON DELETE RESTRICT,
    schedule_cron        text NOT NULL DEFAULT '',
    schedule_timezone    text NOT NULL DEFAULT 'UTC',
    overwrite_direction  text NOT NULL DEFAULT 'source_to_target'
                         CHECK (overwrite_direction IN ('source_to_target', 'target_to_source')),
    drop_existing        boolean NOT NULL DEFAULT false,
    run_on_manual        boolean NOT NULL DEFAULT true,
    enabled              boolean NOT NULL DEFAULT true,
    retention_policy     jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(retention_policy) = 'object'),
    backup_options       jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(backup_options) = 'object'),
    last_execution_at    timestamptz,
    next_execution_at    timestamptz,
    version              bigint NOT NULL DEFAULT 1,
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now(),
    CHECK (source_datasource_id <> target_datasource_id)
);
CREATE UNIQUE INDEX database_sync_jobs_name_key ON database_sync_jobs (lower(name));
CREATE INDEX database_sync_jobs_created_at_idx ON database_sync_jobs (created_at DESC, id DESC);
CREATE INDEX database_sync_jobs_source_datasource_id_idx ON database_sync_jobs (source_datasource_id);
CREATE INDEX database_sync_jobs_target_datasource_id_idx ON database_sync_jobs (target_datasource_id);
CREATE INDEX database_sync_jobs_storage_location_id_idx ON database_sync_jobs (storage_location_id);

CREATE TABLE database_sync_executions (
    id                   uuid PRIMARY KEY,
    sync_job_id          uuid REFERENCES database_sync_jobs (id) ON DELETE SET NULL,
    backup_execution_id  uuid REFERENCES backup_executions (id) ON DELETE SET NULL,
    restore_execution_id uuid REFERENCES backup_executions (id) ON DELETE SET NULL,
    status               execution_status NOT NULL DEFAULT 'queued',
    overwrite_direction  text NOT NULL CHECK (overwrite_direction IN ('source_to_target', 'target_to_source')),
    started_at           timestamptz,
    finished_at          timestamptz,
    error_message        text NOT NULL DEFAULT '',
    metadata             jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at           timestamptz NOT NULL DEFAULT now(),
    CHECK ((status IN ('completed', 'failed', 'cancelled')) = (finished_at IS NOT NULL))
);
CREATE UNIQUE INDEX database_sync_executions_one_active ON database_sync_executions (sync_job_id)
    WHERE status IN ('queued', 'running');
CREATE INDEX database_sync_executions_created_at_idx ON database_sync_executions (created_at DESC, id DESC);
CREATE INDEX database_sync_executions_sync_job_id_idx ON database_sync_executions (sync_job_id, created_at DESC, id DESC);
CREATE INDEX database_sync_executions_backup_execution_id_idx ON database_sync_executions (backup_execution_id);
CREATE INDEX database_sync_executions_restore_execution_id_idx ON database_sync_executions (restore_execution_id);

-- +goose Down
DROP TABLE database_sync_executions;
DROP TABLE database_sync_jobs;
