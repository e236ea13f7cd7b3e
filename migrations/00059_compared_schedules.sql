-- What every schedule of a job was when it was last compared with Temporal, and when that was: known to the whole installation, so
-- that a process that starts does not compare ten thousand again.

-- +goose Up
CREATE TABLE compared_schedules (
    schedule_id text PRIMARY KEY,
    fingerprint text NOT NULL,
    compared_at timestamptz NOT NULL DEFAULT now()
);

-- +goose Down
DROP TABLE compared_schedules;
