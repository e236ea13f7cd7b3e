-- What a job does when it is due while it still runs, and a pause that somebody made of its schedule in Temporal.

-- +goose Up
ALTER TABLE backup_jobs
    ADD COLUMN overlap_policy text NOT NULL DEFAULT 'skip' CHECK (overlap_policy IN ('skip', 'buffer_one')),
    -- Why the schedule is paused in Temporal although the job is enabled, as it was last seen; '' it is not.
    ADD COLUMN schedule_pause text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE backup_jobs DROP COLUMN overlap_policy, DROP COLUMN schedule_pause;
