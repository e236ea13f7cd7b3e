-- What the kept backups of each storage location, datasource and job added, so that the dashboard need not add a million of them up.

-- +goose Up

LOCK TABLE backup_executions IN ACCESS EXCLUSIVE MODE; -- once: who has read it and writes next would be waited for, and wait

-- The sum of the rows is the total: who finds another's row locked leaves it, and writes one beside it, so that nobody waits for
-- anybody. Nearly always there is one row each. A resource that is gone is the zero id.
CREATE TABLE stored_totals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    storage_location_id uuid NOT NULL,
    datasource_id uuid NOT NULL,
    job_id uuid NOT NULL,
    backups bigint NOT NULL,
    bytes bigint NOT NULL
);
CREATE INDEX stored_totals_of_idx ON stored_totals (storage_location_id, job_id, datasource_id) INCLUDE (backups, bytes);

-- +goose StatementBegin
CREATE FUNCTION add_stored(storage_location uuid, datasource uuid, job uuid, more bigint, more_bytes bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    none CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
    datasource := COALESCE(datasource, none);
    job := COALESCE(job, none);
    WITH earlier AS (
        DELETE FROM stored_totals WHERE id IN (
            SELECT t.id FROM stored_totals t WHERE t.storage_location_id = storage_location AND t.job_id = job AND t.datasource_id = datasource FOR UPDATE SKIP LOCKED)
        RETURNING backups, bytes),
    total AS (SELECT more + COALESCE(sum(backups), 0) AS backups, more_bytes + COALESCE(sum(bytes), 0) AS bytes FROM earlier)
    INSERT INTO stored_totals (storage_location_id, datasource_id, job_id, backups, bytes)
    SELECT storage_location, datasource, job, total.backups, total.bytes FROM total WHERE total.backups <> 0 OR total.bytes <> 0;
END
$$;
-- +goose StatementEnd

-- The functions of triggers run with the rights of who migrates, as those of access_changes.
-- +goose StatementBegin
CREATE FUNCTION count_stored() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    sign CONSTANT bigint := CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END;
BEGIN
    PERFORM add_stored(s.storage_location_id, s.datasource_id, s.job_id, sign * s.n, sign * s.bytes)
    FROM (SELECT e.storage_location_id, e.datasource_id, e.job_id, count(*) AS n, sum(e.compressed_size_bytes)::bigint AS bytes
          FROM changed e WHERE e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL AND e.storage_location_id IS NOT NULL
          GROUP BY 1, 2, 3) s;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- Of a statement, not of a row: who deletes a datasource changes all of its executions, and each time the dead rows of one sum would be passed.
-- +goose StatementBegin
CREATE FUNCTION count_stored_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM add_stored(s.storage_location_id, s.datasource_id, s.job_id, s.n, s.bytes)
    FROM (SELECT e.storage_location_id, e.datasource_id, e.job_id, sum(e.sign) AS n, sum(e.sign * e.compressed_size_bytes)::bigint AS bytes
          FROM (SELECT 1 AS sign, newer.* FROM newer UNION ALL SELECT -1, older.* FROM older) e
          WHERE e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL AND e.storage_location_id IS NOT NULL
          GROUP BY 1, 2, 3) s
    WHERE s.n <> 0 OR s.bytes <> 0;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER stored_inserted AFTER INSERT ON backup_executions
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_stored();
CREATE TRIGGER stored_deleted AFTER DELETE ON backup_executions
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_stored();
CREATE TRIGGER stored_updated AFTER UPDATE ON backup_executions
    REFERENCING OLD TABLE AS older NEW TABLE AS newer FOR EACH STATEMENT EXECUTE FUNCTION count_stored_change();

-- Adds everything up anew: for the beginning, and for who has written executions behind the triggers' backs, or restored rows of both tables
-- into tables that had triggers.
-- +goose StatementBegin
CREATE FUNCTION recount_stored() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE backup_executions IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM stored_totals;
    PERFORM add_stored(s.storage_location_id, s.datasource_id, s.job_id, s.n, s.bytes)
    FROM (SELECT e.storage_location_id, e.datasource_id, e.job_id, count(*) AS n, sum(e.compressed_size_bytes)::bigint AS bytes
          FROM backup_executions e WHERE e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL AND e.storage_location_id IS NOT NULL
          GROUP BY 1, 2, 3) s;
END
$$;
-- +goose StatementEnd
SELECT recount_stored();

DROP INDEX backup_executions_stored_idx;

-- +goose Down
CREATE INDEX backup_executions_stored_idx ON backup_executions (storage_location_id)
    INCLUDE (compressed_size_bytes, datasource_id, job_id) WHERE operation = 'backup' AND status = 'completed' AND deleting_at IS NULL;
DROP FUNCTION recount_stored();
DROP FUNCTION count_stored_change() CASCADE; -- with its triggers
DROP FUNCTION count_stored() CASCADE;
DROP FUNCTION add_stored(uuid, uuid, uuid, bigint, bigint);
DROP TABLE stored_totals;
