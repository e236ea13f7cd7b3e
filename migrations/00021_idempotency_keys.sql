-- Answers to requests that carried an Idempotency-Key, to be given again.

-- +goose Up

-- answered_at is NULL while the request is under way, and stays so when the process died meanwhile:
-- then nobody knows what came of it. answer is sealed: it may hold a secret that is shown once.
CREATE TABLE idempotency_keys (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key          text NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 255),
    request_hash bytea NOT NULL CHECK (octet_length(request_hash) = 32),
    answer       text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    answered_at  timestamptz,
    expires_at   timestamptz NOT NULL,
    UNIQUE (user_id, key),
    CHECK ((answered_at IS NULL) = (answer IS NULL))
);
CREATE INDEX idempotency_keys_expires_at_idx ON idempotency_keys (expires_at);

-- +goose Down
DROP TABLE idempotency_keys;
