-- name: AddAudit :exec
INSERT INTO audit_logs (id, actor_id, actor_name, action, resource, resource_id, ip, user_agent, request_id, changes)
VALUES (@id, @actor_id, @actor_name, @action, @resource, @resource_id, @ip, @user_agent, @request_id, @changes);

-- name: ListAudit :many
SELECT * FROM audit_logs
WHERE (sqlc.narg('actor_id')::uuid IS NULL OR actor_id = sqlc.narg('actor_id'))
  AND (sqlc.narg('actor_name')::text IS NULL OR actor_name = sqlc.narg('actor_name'))
  AND (sqlc.narg('action')::text IS NULL OR action = sqlc.narg('action'))
  AND (sqlc.narg('resource')::text IS NULL OR resource = sqlc.narg('resource'))
  AND (sqlc.narg('resource_id')::text IS NULL OR resource_id = sqlc.narg('resource_id'))
  AND (sqlc.narg('created_from')::timestamptz IS NULL OR created_at >= sqlc.narg('created_from'))
  AND (sqlc.narg('created_to')::timestamptz IS NULL OR created_at < sqlc.narg('created_to'))
  AND (sqlc.narg('before_created_at')::timestamptz IS NULL
       OR (created_at, id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg('page_size')::int;

-- name: GetAudit :one
SELECT * FROM audit_logs WHERE id = @id;
