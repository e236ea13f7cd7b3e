-- Accounts of an OpenID Connect provider, and sign-ins that a command line has yet to fetch.

-- +goose Up
CREATE TABLE user_identities (
    issuer     text NOT NULL CHECK (issuer <> ''),
    subject    text NOT NULL CHECK (subject <> ''),
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (issuer, subject),
    UNIQUE (user_id, issuer)
);

-- A code lives for a minute and works once. Only its SHA-256 is stored; challenge is that of the client's PKCE.
CREATE TABLE oidc_handoffs (
    code_hash  bytea PRIMARY KEY CHECK (octet_length(code_hash) = 32),
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    challenge  text NOT NULL CHECK (challenge <> ''),
    expires_at timestamptz NOT NULL
);
CREATE INDEX oidc_handoffs_user_id_idx ON oidc_handoffs (user_id);

-- +goose Down
DROP TABLE oidc_handoffs;
DROP TABLE user_identities;
