-- Sync jobs, drills and notifications under a scope, as lists and single reads decide on it: a thing that belongs to
-- several datasources is seen by whoever sees all of them. What belongs to no storage location, or to no backup job, is
-- not seen by whoever is limited to some.

-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION sync_in_scope(scope jsonb, source uuid, target uuid, storage_location uuid) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT scope_allows(scope, source, storage_location, NULL) AND scope_allows(scope, target, storage_location, NULL)
$$;
-- +goose StatementEnd

-- A drill belongs to both its datasources, and to the backup job whose backups it proves with that one's location.
-- +goose StatementBegin
CREATE FUNCTION drill_in_scope(scope jsonb, datasource uuid, target uuid, job uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT scope_allows(scope, datasource, (SELECT b.storage_location_id FROM backup_jobs b WHERE b.id = job), job)
       AND scope_allows(scope, target, (SELECT b.storage_location_id FROM backup_jobs b WHERE b.id = job), job)
$$;
-- +goose StatementEnd

-- A run of a sync belongs to what it copied, as was recorded when it began, else to its job.
-- +goose StatementBegin
CREATE FUNCTION sync_run_in_scope(scope jsonb, metadata jsonb, job uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN metadata ? 'sync' THEN sync_in_scope(scope,
               (metadata #>> '{sync,from_datasource_id}')::uuid, (metadata #>> '{sync,into_datasource_id}')::uuid,
               NULLIF(metadata #>> '{sync,storage_location_id}', '')::uuid)
           ELSE COALESCE((SELECT sync_in_scope(scope, j.source_datasource_id, j.target_datasource_id, j.storage_location_id)
                          FROM database_sync_jobs j WHERE j.id = job), false) END
$$;
-- +goose StatementEnd

-- A run of a drill belongs to its job, and to the backup that it proves.
-- +goose StatementBegin
CREATE FUNCTION drill_run_in_scope(scope jsonb, backup uuid, job uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT COALESCE((SELECT drill_in_scope(scope, j.datasource_id, j.target_datasource_id, j.backup_job_id)
                     FROM restore_drill_jobs j WHERE j.id = job), false)
       AND (backup IS NULL OR COALESCE((SELECT scope_allows(scope, e.datasource_id, e.storage_location_id, e.job_id)
                                        FROM backup_executions e WHERE e.id = backup), false))
$$;
-- +goose StatementEnd

-- A notification belongs to what it is about; one about what is gone, or about the installation, is seen by those
-- without limits. scopes holds the scope thrice: for what has a datasource alone, for what has a storage location
-- alone, and for what has all.
-- +goose StatementBegin
CREATE FUNCTION entity_in_scope(scopes jsonb, kind notification_entity_type, entity uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT COALESCE(CASE kind
        WHEN 'datasource' THEN scope_allows(scopes -> 'datasource', entity, NULL, NULL)
        WHEN 'storage_location' THEN scope_allows(scopes -> 'storage_location', NULL, entity, NULL)
        WHEN 'backup_job' THEN (SELECT scope_allows(scopes -> 'all', j.datasource_id, j.storage_location_id, j.id)
                                FROM backup_jobs j WHERE j.id = entity)
        WHEN 'database_sync_job' THEN (SELECT sync_in_scope(scopes -> 'all', j.source_datasource_id, j.target_datasource_id, j.storage_location_id)
                                       FROM database_sync_jobs j WHERE j.id = entity)
        WHEN 'restore_drill_job' THEN (SELECT drill_in_scope(scopes -> 'all', j.datasource_id, j.target_datasource_id, j.backup_job_id)
                                       FROM restore_drill_jobs j WHERE j.id = entity)
    END, false)
$$;
-- +goose StatementEnd

-- What every request asks of its caller. The plans are made once a connection: the connections of the API plan each
-- statement anew for the filters of lists, and planning was most of what a request cost.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION user_scoped(who uuid) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN EXISTS (SELECT FROM access_scopes s WHERE s.user_id = who)
        OR EXISTS (SELECT FROM access_scopes s JOIN user_roles ur ON ur.role_id = s.role_id WHERE ur.user_id = who);
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION permissions_of(who uuid) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN ARRAY(SELECT DISTINCT p.name
                 FROM user_roles ur
                 JOIN role_permissions rp ON rp.role_id = ur.role_id
                 JOIN permissions p ON p.id = rp.permission_id
                 WHERE ur.user_id = who
                 ORDER BY p.name);
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION permissions_of(uuid);
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION user_scoped(who uuid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT FROM access_scopes s WHERE s.user_id = who)
        OR EXISTS (SELECT FROM access_scopes s JOIN user_roles ur ON ur.role_id = s.role_id WHERE ur.user_id = who)
$$;
-- +goose StatementEnd
ALTER FUNCTION user_scoped(uuid) RESET ALL;
DROP FUNCTION entity_in_scope(jsonb, notification_entity_type, uuid);
DROP FUNCTION drill_run_in_scope(jsonb, uuid, uuid);
DROP FUNCTION sync_run_in_scope(jsonb, jsonb, uuid);
DROP FUNCTION drill_in_scope(jsonb, uuid, uuid, uuid);
DROP FUNCTION sync_in_scope(jsonb, uuid, uuid, uuid);
