-- When stored bytes were last read and compared, which objects were found damaged, where else a
-- backup is, and what the scrub has read. The backups that need a damaged chunk are those with a row
-- of it in backup_chunks; a damaged manifest (chunk_id NULL) is needed by the one backup it is of.

-- +goose Up
ALTER TABLE backup_executions ADD COLUMN verified_at timestamptz;
CREATE INDEX backup_executions_kept_idx ON backup_executions (storage_location_id, generation, verified_at)
    WHERE status = 'completed' AND operation = 'backup';

-- A copy of a backup on another storage location than its own, with the same keys below its root.
CREATE TABLE backup_replicas (
    execution_id        uuid NOT NULL REFERENCES backup_executions (id) ON DELETE CASCADE,
    storage_location_id uuid NOT NULL REFERENCES storage_locations (id) ON DELETE CASCADE,
    manifest_path       text NOT NULL CHECK (manifest_path <> ''),
    verified_at         timestamptz,
    created_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (execution_id, storage_location_id)
);
CREATE INDEX backup_replicas_storage_location_id_idx ON backup_replicas (storage_location_id, execution_id);

-- announced_at: the alert about this damage was written, so that it is written once.
CREATE TABLE damaged_objects (
    storage_location_id uuid NOT NULL REFERENCES storage_locations (id) ON DELETE CASCADE,
    object_key          text NOT NULL CHECK (object_key <> ''),
    chunk_id            bytea CHECK (octet_length(chunk_id) = 32),
    folder              text NOT NULL DEFAULT '',
    reason              text NOT NULL,
    found_at            timestamptz NOT NULL DEFAULT now(),
    announced_at        timestamptz,
    healed_at           timestamptz,
    PRIMARY KEY (storage_location_id, object_key)
);
CREATE INDEX damaged_objects_chunk_idx ON damaged_objects (folder, chunk_id) WHERE healed_at IS NULL;

-- What each run of the scrub read: the next runs keep to the weekly share by it.
CREATE TABLE scrub_runs (
    id                  uuid PRIMARY KEY,
    storage_location_id uuid NOT NULL REFERENCES storage_locations (id) ON DELETE CASCADE,
    backups             bigint NOT NULL DEFAULT 0 CHECK (backups >= 0),
    objects             bigint NOT NULL DEFAULT 0 CHECK (objects >= 0),
    bytes               bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0),
    damaged             bigint NOT NULL DEFAULT 0 CHECK (damaged >= 0),
    started_at          timestamptz NOT NULL DEFAULT now(),
    finished_at         timestamptz
);
CREATE INDEX scrub_runs_storage_location_id_idx ON scrub_runs (storage_location_id, started_at DESC);

-- +goose Down
DROP TABLE scrub_runs;
DROP TABLE damaged_objects;
DROP TABLE backup_replicas;
DROP INDEX backup_executions_kept_idx;
ALTER TABLE backup_executions DROP COLUMN verified_at;
