-- Who asks, in one statement whose plan is kept; and lists of callers who are limited to some resources, which read what
-- those see and not what they do not see.

-- +goose Up

-- What a session or a token stands for. The connections of the API plan each statement anew for the filters of lists;
-- these have none, so their plans are made once a connection. rules and role_grants are NULL for whom nothing limits.
-- +goose StatementBegin
CREATE FUNCTION limits_of(who uuid, OUT rules jsonb, OUT role_grants jsonb)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    rules := (SELECT jsonb_agg(jsonb_build_object('role_id', s.role_id, 'permission', s.permission, 'effect', s.effect,
                                                  'resource', s.resource, 'resource_id', s.resource_id, 'tag', s.tag))
              FROM (SELECT own.* FROM access_scopes own WHERE own.user_id = who
                    UNION ALL
                    SELECT by_role.* FROM user_roles ur JOIN access_scopes by_role ON by_role.role_id = ur.role_id WHERE ur.user_id = who) s);
    IF rules IS NOT NULL THEN
        role_grants := (SELECT COALESCE(jsonb_object_agg(g.role_id, g.names), '{}')
                        FROM (SELECT ur.role_id, jsonb_agg(p.name) AS names
                              FROM user_roles ur
                              JOIN role_permissions rp ON rp.role_id = ur.role_id
                              JOIN permissions p ON p.id = rp.permission_id
                              WHERE ur.user_id = who GROUP BY ur.role_id) g);
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION holder_of_session(hash bytea) RETURNS TABLE (
    session_id uuid, session_ip text, session_user_agent text, session_created_at timestamptz, session_last_seen_at timestamptz, session_expires_at timestamptz,
    holder_id uuid, holder_email text, holder_name text, holder_password_hash text, holder_is_owner boolean, holder_is_active boolean,
    holder_last_login_at timestamptz, holder_version bigint, holder_created_at timestamptz, holder_updated_at timestamptz,
    holder_permissions text[], holder_rules jsonb, holder_role_grants jsonb)
LANGUAGE plpgsql STABLE PARALLEL SAFE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    SELECT s.id, s.ip, s.user_agent, s.created_at, s.last_seen_at, s.expires_at,
           u.id, u.email, u.name, u.password_hash, u.is_owner, u.is_active, u.last_login_at, u.version, u.created_at, u.updated_at,
           ARRAY(SELECT DISTINCT p.name
                 FROM user_roles ur
                 JOIN role_permissions rp ON rp.role_id = ur.role_id
                 JOIN permissions p ON p.id = rp.permission_id
                 WHERE ur.user_id = u.id
                 ORDER BY p.name)
    INTO session_id, session_ip, session_user_agent, session_created_at, session_last_seen_at, session_expires_at,
         holder_id, holder_email, holder_name, holder_password_hash, holder_is_owner, holder_is_active,
         holder_last_login_at, holder_version, holder_created_at, holder_updated_at, holder_permissions
    FROM auth_sessions s JOIN users u ON u.id = s.user_id
    WHERE s.token_hash = hash;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF NOT holder_is_owner THEN
        SELECT l.rules, l.role_grants INTO holder_rules, holder_role_grants FROM limits_of(holder_id) l;
    END IF;
    RETURN NEXT;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION holder_of_token(hash bytea) RETURNS TABLE (
    token_id uuid, token_name text, token_permissions text[], token_last_used_at timestamptz, token_last_used_ip text, token_created_at timestamptz, token_expires_at timestamptz,
    holder_id uuid, holder_email text, holder_name text, holder_password_hash text, holder_is_owner boolean, holder_is_active boolean,
    holder_last_login_at timestamptz, holder_version bigint, holder_created_at timestamptz, holder_updated_at timestamptz,
    holder_permissions text[], holder_rules jsonb, holder_role_grants jsonb)
LANGUAGE plpgsql STABLE PARALLEL SAFE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    SELECT t.id, t.name, t.permissions, t.last_used_at, t.last_used_ip, t.created_at, t.expires_at,
           u.id, u.email, u.name, u.password_hash, u.is_owner, u.is_active, u.last_login_at, u.version, u.created_at, u.updated_at,
           ARRAY(SELECT DISTINCT p.name
                 FROM user_roles ur
                 JOIN role_permissions rp ON rp.role_id = ur.role_id
                 JOIN permissions p ON p.id = rp.permission_id
                 WHERE ur.user_id = u.id
                 ORDER BY p.name)
    INTO token_id, token_name, token_permissions, token_last_used_at, token_last_used_ip, token_created_at, token_expires_at,
         holder_id, holder_email, holder_name, holder_password_hash, holder_is_owner, holder_is_active,
         holder_last_login_at, holder_version, holder_created_at, holder_updated_at, holder_permissions
    FROM api_tokens t JOIN users u ON u.id = t.user_id
    WHERE t.token_hash = hash;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF NOT holder_is_owner THEN
        SELECT l.rules, l.role_grants INTO holder_rules, holder_role_grants FROM limits_of(holder_id) l;
    END IF;
    RETURN NEXT;
END
$$;
-- +goose StatementEnd
DROP FUNCTION permissions_of(uuid);
DROP FUNCTION user_scoped(uuid);

-- scope_allows is asked of every row that a list passes over. It was a query of its own for each; as one expression without
-- a subselect it becomes part of the query, and what of it does not depend on the row is calculated once. A scope of more
-- than three ways in is left to the query.
-- +goose StatementBegin
CREATE FUNCTION scope_allows_by_any(scope jsonb, datasource uuid, storage_location uuid, backup_job uuid) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (NOT scope ? 'any' OR EXISTS (
        SELECT FROM jsonb_array_elements(scope -> 'any') AS one
        WHERE (NOT one ? 'datasource' OR COALESCE(one -> 'datasource' ? datasource::text, false))
          AND (NOT one ? 'storage_location' OR COALESCE(one -> 'storage_location' ? storage_location::text, false))
          AND (NOT one ? 'backup_job' OR COALESCE(one -> 'backup_job' ? backup_job::text, false))))
    AND NOT COALESCE(scope #> '{deny,datasource}' ? datasource::text, false)
    AND NOT COALESCE(scope #> '{deny,storage_location}' ? storage_location::text, false)
    AND NOT COALESCE(scope #> '{deny,backup_job}' ? backup_job::text, false)
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION scope_way_allows(way jsonb, datasource uuid, storage_location uuid, backup_job uuid) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT COALESCE((NOT way ? 'datasource' OR COALESCE(way -> 'datasource' ? datasource::text, false))
        AND (NOT way ? 'storage_location' OR COALESCE(way -> 'storage_location' ? storage_location::text, false))
        AND (NOT way ? 'backup_job' OR COALESCE(way -> 'backup_job' ? backup_job::text, false)), false)
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION scope_allows(scope jsonb, datasource uuid, storage_location uuid, backup_job uuid) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (NOT scope ? 'any'
         OR scope_way_allows(scope #> '{any,0}', datasource, storage_location, backup_job)
         OR scope_way_allows(scope #> '{any,1}', datasource, storage_location, backup_job)
         OR scope_way_allows(scope #> '{any,2}', datasource, storage_location, backup_job)
         OR (scope #> '{any,3}' IS NOT NULL AND scope_allows_by_any(scope, datasource, storage_location, backup_job)))
    AND NOT COALESCE(scope #> '{deny,datasource}' ? datasource::text, false)
    AND NOT COALESCE(scope #> '{deny,storage_location}' ? storage_location::text, false)
    AND NOT COALESCE(scope #> '{deny,backup_job}' ? backup_job::text, false)
$$;
-- +goose StatementEnd

-- drill_in_scope where the location of its backup job is known: without a subselect, it becomes part of a query too.
-- +goose StatementBegin
CREATE FUNCTION drill_belongs_in_scope(scope jsonb, datasource uuid, target uuid, storage_location uuid, job uuid) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT scope_allows(scope, datasource, storage_location, job) AND scope_allows(scope, target, storage_location, job)
$$;
-- +goose StatementEnd

-- Executions of one datasource by their status, for who sees some datasources only: nothing else is passed over.
CREATE INDEX backup_executions_datasource_status_idx ON backup_executions (datasource_id, status, created_at DESC, id DESC);

-- The dashboard of a limited caller is answered from these alone as well.
DROP INDEX backup_executions_finished_idx;
CREATE INDEX backup_executions_finished_idx ON backup_executions (finished_at)
    INCLUDE (operation, status, size_bytes, compressed_size_bytes, datasource_id, storage_location_id, job_id) WHERE finished_at IS NOT NULL;
DROP INDEX backup_executions_stored_idx;
CREATE INDEX backup_executions_stored_idx ON backup_executions (storage_location_id)
    INCLUDE (compressed_size_bytes, datasource_id, job_id) WHERE operation = 'backup' AND status = 'completed' AND deleting_at IS NULL;

-- Runs of syncs by what they copied, where that was recorded when they began, else by their job.
CREATE INDEX database_sync_executions_from_idx ON database_sync_executions ((metadata #>> '{sync,from_datasource_id}'), created_at DESC, id DESC)
    WHERE metadata ? 'sync';
CREATE INDEX database_sync_executions_unrecorded_idx ON database_sync_executions (sync_job_id, created_at DESC, id DESC)
    WHERE NOT (metadata ? 'sync');

-- Notifications by what they are about, by their kind, and by the execution that they tell of.
DROP INDEX notifications_entity_idx;
CREATE INDEX notifications_entity_idx ON notifications (entity_type, entity_id, created_at DESC, id DESC);
CREATE INDEX notifications_entity_type_idx ON notifications (entity_type, created_at DESC, id DESC);
CREATE INDEX notifications_execution_idx ON notifications ((metadata ->> 'execution_id'), created_at DESC, id DESC)
    WHERE metadata ? 'execution_id';

-- What is damaged on a location, among what was and is healed.
CREATE INDEX damaged_objects_unhealed_idx ON damaged_objects (storage_location_id, object_key) WHERE healed_at IS NULL;

-- +goose Down
DROP INDEX damaged_objects_unhealed_idx;
DROP INDEX notifications_execution_idx;
DROP INDEX notifications_entity_type_idx;
DROP INDEX notifications_entity_idx;
CREATE INDEX notifications_entity_idx ON notifications (entity_type, entity_id, created_at DESC);
DROP INDEX database_sync_executions_unrecorded_idx;
DROP INDEX database_sync_executions_from_idx;
DROP INDEX backup_executions_stored_idx;
CREATE INDEX backup_executions_stored_idx ON backup_executions (storage_location_id)
    INCLUDE (compressed_size_bytes) WHERE operation = 'backup' AND status = 'completed' AND deleting_at IS NULL;
DROP INDEX backup_executions_finished_idx;
CREATE INDEX backup_executions_finished_idx ON backup_executions (finished_at)
    INCLUDE (operation, status, size_bytes, compressed_size_bytes) WHERE finished_at IS NOT NULL;
DROP INDEX backup_executions_datasource_status_idx;
DROP FUNCTION drill_belongs_in_scope(jsonb, uuid, uuid, uuid, uuid);
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION scope_allows(scope jsonb, datasource uuid, storage_location uuid, backup_job uuid) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (NOT scope ? 'any' OR EXISTS (
        SELECT FROM jsonb_array_elements(scope -> 'any') AS one
        WHERE (NOT one ? 'datasource' OR COALESCE(one -> 'datasource' ? datasource::text, false))
          AND (NOT one ? 'storage_location' OR COALESCE(one -> 'storage_location' ? storage_location::text, false))
          AND (NOT one ? 'backup_job' OR COALESCE(one -> 'backup_job' ? backup_job::text, false))))
    AND NOT COALESCE(scope #> '{deny,datasource}' ? datasource::text, false)
    AND NOT COALESCE(scope #> '{deny,storage_location}' ? storage_location::text, false)
    AND NOT COALESCE(scope #> '{deny,backup_job}' ? backup_job::text, false)
$$;
-- +goose StatementEnd
DROP FUNCTION scope_way_allows(jsonb, uuid, uuid, uuid);
DROP FUNCTION scope_allows_by_any(jsonb, uuid, uuid, uuid);
DROP FUNCTION holder_of_token(bytea);
DROP FUNCTION holder_of_session(bytea);
DROP FUNCTION limits_of(uuid);
-- +goose StatementBegin
CREATE FUNCTION user_scoped(who uuid) RETURNS boolean
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
