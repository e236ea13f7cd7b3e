-- Keys of this installation, every one sealed under the master key. The master key itself is never
-- here: master_key_check holds a known text sealed under it, so that a wrong key is found at start.

-- +goose Up
CREATE TABLE master_key_check (
    id         boolean PRIMARY KEY DEFAULT true CHECK (id),
    sealed     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- purpose age_identity: the X25519 key that backups are encrypted to, one for the installation;
-- public is its recipient. purpose chunk_secret: the key of the chunk ids of the generation that
-- this execution opened.
CREATE TABLE encryption_keys (
    id           uuid PRIMARY KEY,
    purpose      text NOT NULL CHECK (purpose IN ('age_identity', 'chunk_secret')),
    execution_id uuid REFERENCES backup_executions (id) ON DELETE CASCADE,
    public       text NOT NULL DEFAULT '',
    secret       text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CHECK ((purpose = 'chunk_secret') = (execution_id IS NOT NULL))
);
CREATE UNIQUE INDEX encryption_keys_one_age_identity ON encryption_keys (purpose) WHERE purpose = 'age_identity';
CREATE UNIQUE INDEX encryption_keys_execution_id_key ON encryption_keys (execution_id) WHERE purpose = 'chunk_secret';

-- +goose Down
DROP TABLE encryption_keys;
DROP TABLE master_key_check;
