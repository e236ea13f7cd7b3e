-- Four eyes: a request to do what can not be undone, decided on by another person, good for one use.

-- +goose Up
CREATE TABLE approvals (
    id              uuid PRIMARY KEY,
    action          text NOT NULL CHECK (action IN ('restore_overwrite', 'delete_backup', 'delete_storage_location')),
    permission      text NOT NULL,
    resource        text NOT NULL,
    resource_id     uuid NOT NULL,
    summary         text NOT NULL,
    request         jsonb NOT NULL DEFAULT '{}',
    request_hash    bytea NOT NULL CHECK (octet_length(request_hash) = 32),
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'rejected', 'withdrawn', 'used')),
    requested_by    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    requester_name  text NOT NULL,
    decided_by      uuid REFERENCES users (id) ON DELETE SET NULL,
    decider_name    text NOT NULL DEFAULT '',
    note            text NOT NULL DEFAULT '',
    created_at      timestamptz NOT NULL DEFAULT now(),
    decided_at      timestamptz,
    used_at         timestamptz,
    expires_at      timestamptz NOT NULL,
    CHECK (decided_by IS DISTINCT FROM requested_by)
);
CREATE INDEX approvals_created_at_idx ON approvals (created_at DESC, id DESC);
CREATE INDEX approvals_requested_by_idx ON approvals (requested_by, request_hash);
CREATE INDEX approvals_decided_by_idx ON approvals (decided_by);

-- +goose Down
DROP TABLE approvals;
