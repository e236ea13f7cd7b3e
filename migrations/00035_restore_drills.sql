-- Drills: the latest backup of a datasource (or of one of its jobs) is restored into a temporary
-- database, checked and dropped. recovery_ms is how long the restore took, which people plan with.

-- +goose Up
CREATE TABLE restore_drill_jobs (
    id                   uuid PRIMARY KEY,
    name                 text NOT NULL CHECK (btrim(name) <> '' AND octet_length(name) <= 200),
    datasource_id        uuid NOT NULL REFERENCES datasources (id) ON DELETE RESTRICT,
    backup_job_id        uuid REFERENCES backup_jobs (id) ON DELETE RESTRICT,
    target_datasource_id uuid NOT NULL REFERENCES datasources (id) ON DELETE RESTRICT,
    schedule_cron        text NOT NULL DEFAULT '',
    schedule_timezone    text NOT NULL DEFAULT 'UTC',
    max_backup_age_hours integer NOT NULL CHECK (max_backup_age_hours > 0),
    enabled              boolean NOT NULL DEFAULT true,
    drill_options        jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(drill_options) = 'object'),
    last_execution_at    timestamptz,
    next_execution_at    timestamptz,
    version              bigint NOT NULL DEFAULT 1,
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX restore_drill_jobs_name_key ON restore_drill_jobs (lower(name));
CREATE INDEX restore_drill_jobs_created_at_idx ON restore_drill_jobs (created_at DESC, id DESC);
CREATE INDEX restore_drill_jobs_datasource_id_idx ON restore_drill_jobs (datasource_id);
CREATE INDEX restore_drill_jobs_backup_job_id_idx ON restore_drill_jobs (backup_job_id);
CREATE INDEX restore_drill_jobs_target_datasource_id_idx ON restore_drill_jobs (target_datasource_id);

CREATE TABLE restore_drill_executions (
    id                   uuid PRIMARY KEY,
    drill_job_id         uuid REFERENCES restore_drill_jobs (id) ON DELETE SET NULL,
    backup_execution_id  uuid REFERENCES backup_executions (id) ON DELETE SET NULL,
    restore_execution_id uuid REFERENCES backup_executions (id) ON DELETE SET NULL,
    status               execution_status NOT NULL DEFAULT 'queued',
    recovery_ms          bigint CHECK (recovery_ms >= 0),
    started_at           timestamptz,
    finished_at          timestamptz,
    error_message        text NOT NULL DEFAULT '',
    metadata             jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at           timestamptz NOT NULL DEFAULT now(),
    CHECK ((status IN ('completed', 'failed', 'cancelled')) = (finished_at IS NOT NULL))
);
CREATE UNIQUE INDEX restore_drill_executions_one_active ON restore_drill_executions (drill_job_id)
    WHERE status IN ('queued', 'running');
CREATE INDEX restore_drill_executions_created_at_idx ON restore_drill_executions (created_at DESC, id DESC);
CREATE INDEX restore_drill_executions_drill_job_id_idx ON restore_drill_executions (drill_job_id, created_at DESC, id DESC);
CREATE INDEX restore_drill_executions_backup_execution_id_idx ON restore_drill_executions (backup_execution_id);
CREATE INDEX restore_drill_executions_restore_execution_id_idx ON restore_drill_executions (restore_execution_id);
CREATE TRIGGER restore_drill_executions_notify AFTER INSERT OR UPDATE ON restore_drill_executions
    FOR EACH ROW EXECUTE FUNCTION notify_backup_execution();

-- +goose Down
DROP TABLE restore_drill_executions;
DROP TABLE restore_drill_jobs;
