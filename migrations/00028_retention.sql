-- What the last run of a job's retention did. A table of its own: it changes with every run, the job's
-- version does not.

-- +goose Up
CREATE TABLE backup_job_retention (
    job_id     uuid PRIMARY KEY REFERENCES backup_jobs (id) ON DELETE CASCADE,
    run_id     text NOT NULL,
    result     jsonb NOT NULL CHECK (jsonb_typeof(result) = 'object'),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- +goose Down
DROP TABLE backup_job_retention;
