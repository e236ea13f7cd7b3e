-- Tokens for scripts: named, limited to some of their owner's permissions, expiring. Like sessions they
-- store only the SHA-256 of the token.

-- +goose Up
CREATE TABLE api_tokens (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         text NOT NULL CHECK (btrim(name) <> ''),
    token_hash   bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    permissions  text[] NOT NULL CHECK (cardinality(permissions) > 0),
    last_used_at timestamptz,
    last_used_ip text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL
);
CREATE UNIQUE INDEX api_tokens_name_key ON api_tokens (user_id, lower(name));
CREATE INDEX api_tokens_user_id_idx ON api_tokens (user_id, created_at DESC, id DESC);

-- Users and roles are listed newest first.
CREATE INDEX roles_created_at_idx ON roles (created_at DESC, id DESC);

-- The audit trail by the name of its actor, whose account may be gone, and by what it is about.
CREATE INDEX audit_logs_actor_name_idx ON audit_logs (actor_name, created_at DESC, id DESC);
CREATE INDEX audit_logs_resource_id_idx ON audit_logs (resource_id, created_at DESC, id DESC) WHERE resource_id <> '';
CREATE INDEX audit_logs_resource_only_idx ON audit_logs (resource, created_at DESC, id DESC);

-- +goose Down
DROP INDEX audit_logs_resource_only_idx;
DROP INDEX audit_logs_resource_id_idx;
DROP INDEX audit_logs_actor_name_idx;
DROP INDEX roles_created_at_idx;
DROP TABLE api_tokens;
