-- name: CreateApproval :one
INSERT INTO approvals (id, action, permission, resource, resource_id, summary, request, request_hash, requested_by, requester_name, expires_at)
VALUES (@id, @action, @permission, @resource, @resource_id, @summary, @request, @request_hash, @requested_by, @requester_name, @expires_at)
RETURNING *;

-- The one that is open for the same request, so that a client that asks again gets the same.
-- name: OpenApproval :one
SELECT * FROM approvals
WHERE requested_by = @requested_by AND request_hash = @request_hash AND status IN ('pending', 'approved') AND expires_at > now()
ORDER BY created_at DESC
LIMIT 1;

-- name: GetApproval :one
SELECT * FROM approvals WHERE id = @id;

-- name: LockApproval :one
SELECT * FROM approvals WHERE id = @id FOR UPDATE;

-- name: ListApprovals :many
SELECT * FROM approvals
WHERE (requested_by = sqlc.arg('viewer')::uuid OR permission = ANY(sqlc.arg('permissions')::text[]))
  AND (sqlc.narg('status')::text IS NULL
       OR (status = sqlc.narg('status') AND (sqlc.narg('status') NOT IN ('pending', 'approved') OR expires_at > now()))
       OR (sqlc.narg('status') = 'expired' AND status IN ('pending', 'approved') AND expires_at <= now()))
  AND (sqlc.narg('before_created_at')::timestamptz IS NULL
       OR (created_at, id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg('page_size')::int;

-- name: DecideApproval :one
UPDATE approvals
SET status = @status, decided_by = @decided_by, decider_name = @decider_name, note = @note, decided_at = now(), expires_at = @expires_at
WHERE id = @id AND status = 'pending' AND expires_at > now() AND requested_by <> @decided_by
RETURNING *;

-- name: WithdrawApproval :one
UPDATE approvals SET status = 'withdrawn'
WHERE id = @id AND requested_by = @requested_by AND status IN ('pending', 'approved')
RETURNING *;

-- Once: of several that use it at the same time, one does.
-- name: UseApproval :execrows
UPDATE approvals SET status = 'used', used_at = now()
WHERE id = @id AND requested_by = @requested_by AND action = @action AND request_hash = @request_hash
  AND status = 'approved' AND expires_at > now();

-- name: ReopenApproval :one
UPDATE approvals SET status = 'approved', used_at = NULL WHERE id = @id AND status = 'used'
RETURNING *;

-- Whoever approved it may not do so any more: another person is asked again.
-- name: UndecideApproval :one
UPDATE approvals SET status = 'pending', decided_by = NULL, decider_name = '', note = '', decided_at = NULL
WHERE id = @id AND status = 'approved' AND expires_at > now() AND decided_at = sqlc.arg('decided_at')::timestamptz
RETURNING *;
