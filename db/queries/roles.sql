-- Seeding and the first setup happen one after the other, whichever processes do them.
-- name: LockAccess :exec
SELECT pg_advisory_xact_lock(hashtextextended('dataguardian access', 0));

-- name: LockConfig :exec
SELECT pg_advisory_xact_lock(hashtextextended('dataguardian config', 0));

-- name: UpsertSystemRole :one
INSERT INTO roles (id, name, is_system) VALUES (@id, @name, true)
ON CONFLICT (lower(name)) DO UPDATE SET is_system = true
RETURNING id;

-- name: AddPermission :exec
INSERT INTO permissions (id, name) VALUES (@id, @name) ON CONFLICT (name) DO NOTHING;

-- name: RemovePermissionsOfRole :exec
DELETE FROM role_permissions rp USING permissions p
WHERE rp.permission_id = p.id AND rp.role_id = @role_id AND NOT (p.name = ANY(sqlc.arg('keep')::text[]));

-- name: AddPermissionsToRole :exec
INSERT INTO role_permissions (role_id, permission_id)
SELECT sqlc.arg('role_id')::uuid, p.id FROM permissions p WHERE p.name = ANY(sqlc.arg('names')::text[])
ON CONFLICT DO NOTHING;

-- name: GrantRole :execrows
INSERT INTO user_roles (user_id, role_id)
SELECT sqlc.arg('user_id')::uuid, r.id FROM roles r WHERE r.name = @role
ON CONFLICT DO NOTHING;

-- name: CreateRole :one
INSERT INTO roles (id, name, description) VALUES (@id, @name, @description) RETURNING *;

-- name: GetRole :one
SELECT * FROM roles WHERE id = @id;

-- name: ListRoles :many
SELECT * FROM roles
WHERE sqlc.narg('before_created_at')::timestamptz IS NULL
   OR (created_at, id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid)
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg('page_size')::int;

-- name: RolesByName :many
SELECT r.*, COALESCE((
    SELECT array_agg(p.name ORDER BY p.name) FROM role_permissions rp JOIN permissions p ON p.id = rp.permission_id WHERE rp.role_id = r.id
), '{}')::text[] AS permissions
FROM roles r
WHERE lower(r.name) = ANY(sqlc.arg('names')::text[]);

-- name: PermissionsOfRoles :many
SELECT rp.role_id, p.name FROM role_permissions rp JOIN permissions p ON p.id = rp.permission_id
WHERE rp.role_id = ANY(sqlc.arg('role_ids')::uuid[])
ORDER BY rp.role_id, p.name;

-- name: UpdateRole :one
UPDATE roles
SET name = @name, description = @description, version = version + 1, updated_at = now()
WHERE id = @id AND NOT is_system AND (sqlc.arg('expected_version')::bigint = 0 OR version = sqlc.arg('expected_version')::bigint)
RETURNING *;

-- name: RoleHolders :many
SELECT ('user ' || u.email)::text FROM user_roles ur JOIN users u ON u.id = ur.user_id
WHERE ur.role_id = @role_id
ORDER BY u.email
LIMIT sqlc.arg('max_holders')::int;

-- name: DeleteRole :execrows
DELETE FROM roles WHERE id = @id AND NOT is_system;
