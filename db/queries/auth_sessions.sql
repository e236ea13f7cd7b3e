-- name: CreateSession :one
INSERT INTO auth_sessions (id, user_id, token_hash, ip, user_agent, expires_at)
VALUES (@id, @user_id, @token_hash, @ip, @user_agent, @expires_at)
RETURNING *;

-- name: TouchSession :execrows
UPDATE auth_sessions SET last_seen_at = now(), expires_at = @expires_at WHERE id = @id;

-- name: DeleteSession :execrows
DELETE FROM auth_sessions WHERE id = @id AND user_id = @user_id;

-- name: ListSessions :many
SELECT * FROM auth_sessions
WHERE user_id = @user_id AND expires_at > now()
  AND (sqlc.narg('before_created_at')::timestamptz IS NULL
       OR (created_at, id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg('page_size')::int;

-- name: DeleteExpiredSessions :execrows
DELETE FROM auth_sessions WHERE expires_at <= now();

-- name: DeleteSessionsOfUser :execrows
DELETE FROM auth_sessions WHERE user_id = @user_id AND (sqlc.narg('keep')::uuid IS NULL OR id <> sqlc.narg('keep'));
