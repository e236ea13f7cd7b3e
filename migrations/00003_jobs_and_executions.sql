-- Backup jobs, their executions (backups and restores) and the chunks that these refer to.
-- A job keeps its datasource and storage location from being deleted (RESTRICT). Executions are
-- history: they outlive what they name (SET NULL); the application refuses to delete a datasource
-- or storage location that holds kept backups.

-- +goose Up
CREATE TABLE backup_jobs (
    id                  uuid PRIMARY KEY,
    name                text NOT NULL CHECK (btrim(name) <> '' AND octet_length(name) <= 200),
    datasource_id       uuid NOT NULL REFERENCES datasources (id) ON DELETE RESTRICT,
    storage_location_id uuid NOT NULL REFERENCES storage_locations (id) ON DELETE RESTRICT,
    schedule_cron       text NOT NULL DEFAULT '',
    schedule_timezone   text NOT NULL DEFAULT 'UTC',
    enabled             boolean NOT NULL DEFAULT true,
    retention_policy    jsonb NOT NULL CHECK (jsonb_typeof(retention_policy) = 'object'),
    backup_options      jsonb NOT NULL CHECK (jsonb_typeof(backup_options) = 'object'),
    last_execution_at   timestamptz,
    next_execution_at   timestamptz,
    version             bigint NOT NULL DEFAULT 1,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX backup_jobs_name_key ON backup_jobs (lower(name));
CREATE INDEX backup_jobs_created_at_idx ON backup_jobs (created_at DESC, id DESC);
CREATE INDEX backup_jobs_datasource_id_idx ON backup_jobs (datasource_id);
CREATE INDEX backup_jobs_storage_location_id_idx ON backup_jobs (storage_location_id);

-- progress is apart from metadata because it changes every few seconds, and metadata with its log
-- may be some hundred kB; readers see it as metadata.progress. dump_attempt is the fence that lets
-- only the newest attempt of a dump write.
CREATE TABLE backup_executions (
    id                    uuid PRIMARY KEY,
    job_id                uuid REFERENCES backup_jobs (id) ON DELETE SET NULL,
    datasource_id         uuid REFERENCES datasources (id) ON DELETE SET NULL,
    storage_location_id   uuid REFERENCES storage_locations (id) ON DELETE SET NULL,
    status                execution_status NOT NULL DEFAULT 'queued',
    backup_type           backup_type NOT NULL DEFAULT 'full',
    operation             text GENERATED ALWAYS AS (metadata ->> 'operation') STORED NOT NULL
                          CHECK (operation IN ('backup', 'restore')),
    size_bytes            bigint NOT NULL DEFAULT 0 CHECK (size_bytes >= 0),
    compressed_size_bytes bigint NOT NULL DEFAULT 0 CHECK (compressed_size_bytes >= 0),
    started_at            timestamptz,
    finished_at           timestamptz,
    error_message         text NOT NULL DEFAULT '',
    pinned                boolean NOT NULL DEFAULT false,
    generation            text NOT NULL,
    dump_attempt          integer NOT NULL DEFAULT 0 CHECK (dump_attempt >= 0),
    progress              jsonb,
    metadata              jsonb NOT NULL CHECK (jsonb_typeof(metadata) = 'object'),
    created_at            timestamptz NOT NULL DEFAULT now(),
    CHECK ((status IN ('completed', 'failed', 'cancelled')) = (finished_at IS NOT NULL)),
    CHECK (status <> 'running' OR started_at IS NOT NULL)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX backup_executions_one_active ON backup_executions (job_id)
    WHERE status IN ('queued', 'running') AND operation = 'backup';
-- A generation is a directory on the storage, named by 32 random bits. Two fulls of one datasource
-- must never share it: removing one would take chunks of the other.
CREATE UNIQUE INDEX backup_executions_one_full_of_generation ON backup_executions (datasource_id, generation)
    WHERE backup_type = 'full' AND operation = 'backup';
CREATE INDEX backup_executions_created_at_idx ON backup_executions (created_at DESC, id DESC);
CREATE INDEX backup_executions_job_id_idx ON backup_executions (job_id, created_at DESC, id DESC);
CREATE INDEX backup_executions_datasource_id_idx ON backup_executions (datasource_id, created_at DESC, id DESC);
CREATE INDEX backup_executions_storage_location_id_idx ON backup_executions (storage_location_id, created_at DESC, id DESC);
CREATE INDEX backup_executions_active_idx ON backup_executions (created_at) WHERE status IN ('queued', 'running');

-- One row for each distinct chunk that an execution refers to. chunk_id is the keyed hash of the
-- plaintext, checksum the SHA-256 of the stored object.
CREATE TABLE backup_chunks (
    execution_id uuid NOT NULL REFERENCES backup_executions (id) ON DELETE CASCADE,
    chunk_id     bytea NOT NULL CHECK (octet_length(chunk_id) = 32),
    generation   text NOT NULL,
    plain_bytes  bigint NOT NULL CHECK (plain_bytes >= 0),
    stored_bytes bigint NOT NULL CHECK (stored_bytes >= 0),
    checksum     bytea NOT NULL CHECK (octet_length(checksum) = 32),
    uploaded     boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (execution_id, chunk_id)
);
-- Counts the executions that refer to an object before it is deleted.
CREATE INDEX backup_chunks_reference_idx ON backup_chunks (generation, chunk_id);

-- +goose StatementBegin
CREATE FUNCTION notify_backup_execution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('backup_executions', NEW.id::text);
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER backup_executions_notify AFTER INSERT OR UPDATE ON backup_executions
    FOR EACH ROW EXECUTE FUNCTION notify_backup_execution();

-- +goose Down
DROP TABLE backup_chunks;
DROP TABLE backup_executions;
DROP FUNCTION notify_backup_execution();
DROP TABLE backup_jobs;
