-- Two requests with one key: the second waits for the row of the first, and gets none.
-- name: ReserveKey :execrows
INSERT INTO idempotency_keys (id, user_id, key, request_hash, expires_at)
VALUES (@id, @user_id, @key, @request_hash, now() + make_interval(secs => sqlc.arg('life_seconds')::float8))
ON CONFLICT (user_id, key) DO UPDATE
SET id = EXCLUDED.id, request_hash = EXCLUDED.request_hash, answer = NULL, created_at = now(), answered_at = NULL, expires_at = EXCLUDED.expires_at
WHERE idempotency_keys.expires_at <= now();

-- name: GetReservedKey :one
SELECT id, request_hash, answer, created_at FROM idempotency_keys WHERE user_id = @user_id AND key = @key;

-- name: AnswerKey :exec
UPDATE idempotency_keys SET answer = sqlc.arg('answer')::text, answered_at = now() WHERE id = @id AND answered_at IS NULL;

-- name: ReleaseKey :exec
DELETE FROM idempotency_keys WHERE id = @id AND answered_at IS NULL;

-- name: SweepKeys :exec
DELETE FROM idempotency_keys WHERE id IN (
    SELECT old.id FROM idempotency_keys old WHERE old.expires_at <= now() ORDER BY old.expires_at LIMIT 100 FOR UPDATE SKIP LOCKED
);
