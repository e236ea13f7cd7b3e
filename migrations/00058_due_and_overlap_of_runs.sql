-- Which run of a schedule has had its turn, whatever became of it, so that the next run that is shown is true; sync and drill jobs
-- know since when their schedule is what it is, and what becomes of a run that is due meanwhile, as backup jobs do.

-- +goose Up
-- When the newest run that the schedule has started was due, also one that did not take place; NULL there was none.
ALTER TABLE backup_jobs ADD COLUMN last_due_at timestamptz;
ALTER TABLE database_sync_jobs
    ADD COLUMN overlap_policy text NOT NULL DEFAULT 'skip' CHECK (overlap_policy IN ('skip', 'buffer_one')),
    ADD COLUMN schedule_since timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN last_due_at timestamptz;
UPDATE database_sync_jobs SET schedule_since = created_at;
ALTER TABLE restore_drill_jobs
    ADD COLUMN overlap_policy text NOT NULL DEFAULT 'skip' CHECK (overlap_policy IN ('skip', 'buffer_one')),
    ADD COLUMN schedule_since timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN last_due_at timestamptz;
UPDATE restore_drill_jobs SET schedule_since = created_at;

-- +goose Down
ALTER TABLE restore_drill_jobs DROP COLUMN overlap_policy, DROP COLUMN schedule_since, DROP COLUMN last_due_at;
ALTER TABLE database_sync_jobs DROP COLUMN overlap_policy, DROP COLUMN schedule_since, DROP COLUMN last_due_at;
ALTER TABLE backup_jobs DROP COLUMN last_due_at;
