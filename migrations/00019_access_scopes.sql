-- A permission limited to some datasources, storage locations or backup jobs, of a user or of a role.
-- resource_id has no foreign key: what it names may be one of three kinds, and a limit to a thing that is gone
-- must stay a limit.

-- +goose Up
CREATE TABLE access_scopes (
    id          uuid PRIMARY KEY,
    user_id     uuid REFERENCES users (id) ON DELETE CASCADE,
    role_id     uuid REFERENCES roles (id) ON DELETE CASCADE,
    permission  text NOT NULL CHECK (permission = '*' OR permission ~ '^[a-z_]+\.[a-z_]+$'),
    effect      text NOT NULL CHECK (effect IN ('allow', 'deny')),
    resource    text NOT NULL CHECK (resource IN ('datasource', 'storage_location', 'backup_job')),
    resource_id uuid,
    tag         text CHECK (tag <> ''),
    created_at  timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(user_id, role_id) = 1),
    CHECK (num_nonnulls(resource_id, tag) = 1)
);
CREATE INDEX access_scopes_user_id_idx ON access_scopes (user_id);
CREATE INDEX access_scopes_role_id_idx ON access_scopes (role_id);
CREATE INDEX access_scopes_created_at_idx ON access_scopes (created_at DESC, id DESC);
CREATE UNIQUE INDEX access_scopes_rule_key ON access_scopes (
    COALESCE(user_id, role_id), permission, effect, resource, COALESCE(resource_id::text, ''), COALESCE(tag, ''));

-- Whether a scope, as db.Scope writes it, lets somebody see what belongs to these three. The decision is the
-- one of domain.Scope.Allows, which a test compares it with; it is here so that lists are cut into pages after it.
-- +goose StatementBegin
CREATE FUNCTION scope_allows(scope jsonb, datasource uuid, storage_location uuid, backup_job uuid) RETURNS boolean
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

-- Whether anything limits a user, of their own or by a role: for most it is nothing, and is asked in the query
-- that finds their session.
-- +goose StatementBegin
CREATE FUNCTION user_scoped(who uuid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT FROM access_scopes s WHERE s.user_id = who)
        OR EXISTS (SELECT FROM access_scopes s JOIN user_roles ur ON ur.role_id = s.role_id WHERE ur.user_id = who)
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION user_scoped(uuid);
DROP FUNCTION scope_allows(jsonb, uuid, uuid, uuid);
DROP TABLE access_scopes;
