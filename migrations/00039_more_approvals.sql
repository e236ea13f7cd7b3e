-- Another person also approves that approvals are switched off while they are on.

-- +goose Up
ALTER TABLE approvals DROP CONSTRAINT approvals_action_check,
    ADD CONSTRAINT approvals_action_check CHECK (action IN ('restore_overwrite', 'delete_backup', 'delete_storage_location', 'weaken_approvals'));

-- +goose Down
DELETE FROM approvals WHERE action = 'weaken_approvals';
ALTER TABLE approvals DROP CONSTRAINT approvals_action_check,
    ADD CONSTRAINT approvals_action_check CHECK (action IN ('restore_overwrite', 'delete_backup', 'delete_storage_location'));
