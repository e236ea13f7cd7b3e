-- name: GetSetting :one
SELECT value FROM system_settings WHERE key = @key;

-- name: PutSetting :exec
INSERT INTO system_settings (key, value, updated_by) VALUES (@key, @value, @updated_by)
ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, updated_by = EXCLUDED.updated_by, updated_at = now();

-- name: ListSettings :many
SELECT key, value, updated_by, updated_at FROM system_settings ORDER BY key;

-- name: DeleteSetting :exec
DELETE FROM system_settings WHERE key = @key;

-- Changes of settings come one after the other: a condition on what is there must hold until the change is made.
-- name: LockSettings :exec
LOCK TABLE system_settings IN SHARE ROW EXCLUSIVE MODE;
