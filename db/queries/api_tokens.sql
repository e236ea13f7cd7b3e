-- name: CreateAPIToken :one
INSERT INTO api_tokens (id, user_id, name, token_hash, permissions, expires_at)
VALUES (@id, @user_id, @name, @token_hash, @permissions, @expires_at)
RETURNING *;

-- name: GetAPIToken :one
SELECT * FROM api_tokens WHERE id = @id AND user_id = @user_id;

-- name: ListAPITokens :many
SELECT * FROM api_tokens
WHERE user_id = @user_id
  AND (sqlc.narg('before_created_at')::timestamptz IS NULL
       OR (created_at, id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg('page_size')::int;

-- name: CountAPITokens :one
SELECT count(*) FROM api_tokens WHERE user_id = @user_id;

-- name: DeleteAPIToken :execrows
DELETE FROM api_tokens WHERE id = @id AND user_id = @user_id;

-- name: DeleteAPITokensOfUser :execrows
DELETE FROM api_tokens WHERE user_id = @user_id;

-- name: TouchAPIToken :exec
UPDATE api_tokens SET last_used_at = now(), last_used_ip = @last_used_ip WHERE id = @id;
