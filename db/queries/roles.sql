-- Seeding and the first setup happen one after the other, whichever processes do them.
-- name: LockAccess :exec
SELECT pg_advisory_xact_lock(hashtextextended('dataguardian access', 0));

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
