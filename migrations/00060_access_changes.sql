-- How often what users may do has been changed, so that the API asks for a user's permissions again only then.

-- +goose Up

LOCK TABLE users, permissions, role_permissions, user_roles, access_scopes IN SHARE ROW EXCLUSIVE MODE; -- in one order, whoever writes meanwhile

-- The sum is the number: a row each instead of one that counts, so that nobody waits for somebody else's change, and committed ones only.
-- A new row takes the place of many.
CREATE TABLE access_changes (
    id bigint GENERATED ALWAYS AS IDENTITY,
    n  bigint NOT NULL DEFAULT 1 CHECK (n > 0),
    PRIMARY KEY (id) INCLUDE (n)
);
INSERT INTO access_changes DEFAULT VALUES;
GRANT SELECT ON access_changes TO PUBLIC; -- a number; without it nobody whose role was not granted anything since could sign in

-- The functions run with the rights of who migrates: a role of docs/restricted-role.sql that was not granted anything since is not locked out, and
-- it can write no count of its own.
-- A statement that changes nothing is none: every sign-in through a provider sets the roles anew.
-- +goose StatementBegin
CREATE FUNCTION count_access_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM changed) THEN
        RETURN NULL;
    END IF;
    INSERT INTO access_changes DEFAULT VALUES;
    IF (SELECT count(*) FROM access_changes) > 20 THEN
        WITH many AS (DELETE FROM access_changes WHERE id IN (SELECT id FROM access_changes FOR UPDATE SKIP LOCKED) RETURNING n)
        INSERT INTO access_changes (n) SELECT sum(n) FROM many HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- What has no table of what was changed.
-- +goose StatementBegin
CREATE FUNCTION count_any_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO access_changes DEFAULT VALUES;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
DO $$
DECLARE
    what text;
BEGIN
    FOREACH what IN ARRAY ARRAY['permissions', 'role_permissions', 'user_roles', 'access_scopes'] LOOP
        EXECUTE format('CREATE TRIGGER access_inserted AFTER INSERT ON %I REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_access_change()', what);
        EXECUTE format('CREATE TRIGGER access_updated AFTER UPDATE ON %I REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_access_change()', what);
        EXECUTE format('CREATE TRIGGER access_deleted AFTER DELETE ON %I REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_access_change()', what);
        EXECUTE format('CREATE TRIGGER access_truncated AFTER TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION count_any_change()', what);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Nothing limits an owner.
CREATE TRIGGER owner_changed AFTER UPDATE ON users
    FOR EACH ROW WHEN (OLD.is_owner IS DISTINCT FROM NEW.is_owner) EXECUTE FUNCTION count_any_change();

-- holder_of_session and holder_of_token without what their holder may do, but with the number of changes: what nearly every request asks. Their
-- plans are kept, as those are.
-- +goose StatementBegin
CREATE FUNCTION session_of(hash bytea) RETURNS TABLE (
    session_id uuid, session_ip text, session_user_agent text, session_created_at timestamptz, session_last_seen_at timestamptz, session_expires_at timestamptz,
    access_state bigint, holder_id uuid, holder_email text, holder_name text, holder_password_hash text, holder_is_owner boolean, holder_is_active boolean,
    holder_last_login_at timestamptz, holder_version bigint, holder_created_at timestamptz, holder_updated_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT s.id, s.ip, s.user_agent, s.created_at, s.last_seen_at, s.expires_at,
           (SELECT COALESCE(sum(c.n), 0)::bigint FROM access_changes c), u.id, u.email, u.name, u.password_hash, u.is_owner, u.is_active,
           u.last_login_at, u.version, u.created_at, u.updated_at
    FROM auth_sessions s JOIN users u ON u.id = s.user_id
    WHERE s.token_hash = hash;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION token_of(hash bytea) RETURNS TABLE (
    token_id uuid, token_name text, token_permissions text[], token_last_used_at timestamptz, token_last_used_ip text, token_created_at timestamptz, token_expires_at timestamptz,
    access_state bigint, holder_id uuid, holder_email text, holder_name text, holder_password_hash text, holder_is_owner boolean, holder_is_active boolean,
    holder_last_login_at timestamptz, holder_version bigint, holder_created_at timestamptz, holder_updated_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT t.id, t.name, t.permissions, t.last_used_at, t.last_used_ip, t.created_at, t.expires_at,
           (SELECT COALESCE(sum(c.n), 0)::bigint FROM access_changes c), u.id, u.email, u.name, u.password_hash, u.is_owner, u.is_active,
           u.last_login_at, u.version, u.created_at, u.updated_at
    FROM api_tokens t JOIN users u ON u.id = t.user_id
    WHERE t.token_hash = hash;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION token_of(bytea);
DROP FUNCTION session_of(bytea);
DROP FUNCTION count_access_change() CASCADE; -- with its triggers
DROP FUNCTION count_any_change() CASCADE;
DROP TABLE access_changes;
