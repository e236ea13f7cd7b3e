-- name: GetSetting :one
SELECT value FROM system_settings WHERE key = @key;

-- name: PutSetting :exec
INSERT INTO system_settings (key, value, updated_by) VALUES (@key, @value, @updated_by)
ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, updated_by = EXCLUDED.updated_by, updated_at = now();
