-- The chunk secret belongs to a generation, not to the full that opened it: increments outlive their
-- full. increment_number is a backup's place in its generation, 0 for the full; it is kept, because
-- counting the backups that are still there would never reach full_every once old ones are removed.

-- +goose Up
ALTER TABLE backup_executions ADD COLUMN increment_number integer NOT NULL DEFAULT 0 CHECK (increment_number >= 0);

ALTER TABLE encryption_keys
    ADD COLUMN datasource_id uuid REFERENCES datasources (id) ON DELETE CASCADE,
    ADD COLUMN generation text;
UPDATE encryption_keys k SET datasource_id = e.datasource_id, generation = e.generation
FROM backup_executions e WHERE e.id = k.execution_id AND e.datasource_id IS NOT NULL;
-- Without a datasource nothing will build on the generation; its manifests hold the secret.
DELETE FROM encryption_keys WHERE purpose = 'chunk_secret' AND datasource_id IS NULL;
ALTER TABLE encryption_keys
    DROP COLUMN execution_id,
    ADD CHECK ((purpose = 'chunk_secret') = (datasource_id IS NOT NULL AND generation IS NOT NULL));
CREATE UNIQUE INDEX encryption_keys_generation_key ON encryption_keys (datasource_id, generation);

-- The secret goes with the last execution of its generation, whoever deletes that.
-- +goose StatementBegin
CREATE FUNCTION forget_chunk_secret() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM encryption_keys k
    WHERE k.purpose = 'chunk_secret' AND k.datasource_id = OLD.datasource_id AND k.generation = OLD.generation
      AND NOT EXISTS (SELECT FROM backup_executions e
                      WHERE e.datasource_id = OLD.datasource_id AND e.generation = OLD.generation AND e.operation = 'backup');
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER backup_executions_forget_chunk_secret AFTER DELETE ON backup_executions
    FOR EACH ROW WHEN (OLD.operation = 'backup' AND OLD.datasource_id IS NOT NULL) EXECUTE FUNCTION forget_chunk_secret();

-- +goose Down
DROP TRIGGER backup_executions_forget_chunk_secret ON backup_executions;
DROP FUNCTION forget_chunk_secret();
ALTER TABLE encryption_keys ADD COLUMN execution_id uuid REFERENCES backup_executions (id) ON DELETE CASCADE;
UPDATE encryption_keys k SET execution_id = e.id
FROM backup_executions e
WHERE e.datasource_id = k.datasource_id AND e.generation = k.generation AND e.backup_type = 'full' AND e.operation = 'backup';
DELETE FROM encryption_keys WHERE purpose = 'chunk_secret' AND execution_id IS NULL;
DROP INDEX encryption_keys_generation_key;
ALTER TABLE encryption_keys
    DROP COLUMN datasource_id,
    DROP COLUMN generation,
    ADD CHECK ((purpose = 'chunk_secret') = (execution_id IS NOT NULL));
CREATE UNIQUE INDEX encryption_keys_execution_id_key ON encryption_keys (execution_id) WHERE purpose = 'chunk_secret';
ALTER TABLE backup_executions DROP COLUMN increment_number;
