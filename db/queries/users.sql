-- name: CreateUser :one
INSERT INTO users (id, email, name, password_hash, is_owner, is_active)
VALUES (@id, @email, @name, @password_hash, @is_owner, @is_active)
RETURNING *;

-- name: UserByEmail :one
SELECT * FROM users WHERE lower(email) = lower(sqlc.arg('email')::text);

-- name: UserByID :one
SELECT * FROM users WHERE id = @id;

-- name: HasOwner :one
SELECT EXISTS (SELECT FROM users WHERE is_owner);

-- name: SetLastLogin :exec
UPDATE users SET last_login_at = now() WHERE id = @id;

-- name: UserRoles :many
SELECT r.name FROM user_roles ur JOIN roles r ON r.id = ur.role_id WHERE ur.user_id = @user_id ORDER BY r.name;

-- name: UserPermissions :many
SELECT DISTINCT p.name
FROM user_roles ur
JOIN role_permissions rp ON rp.role_id = ur.role_id
JOIN permissions p ON p.id = rp.permission_id
WHERE ur.user_id = @user_id
ORDER BY p.name;

-- name: ListUsers :many
SELECT sqlc.embed(u),
       ARRAY(SELECT r.name FROM user_roles ur JOIN roles r ON r.id = ur.role_id WHERE ur.user_id = u.id ORDER BY r.name)::text[] AS roles
FROM users u
WHERE (sqlc.narg('email')::text IS NULL OR lower(u.email) = lower(sqlc.narg('email')))
  AND (sqlc.narg('before_created_at')::timestamptz IS NULL
       OR (u.created_at, u.id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY u.created_at DESC, u.id DESC
LIMIT sqlc.arg('page_size')::int;

-- name: UpdateUser :one
UPDATE users
SET email = @email, name = @name, is_active = @is_active, version = version + 1, updated_at = now()
WHERE id = @id AND (sqlc.arg('expected_version')::bigint = 0 OR version = sqlc.arg('expected_version')::bigint)
RETURNING *;

-- name: SetPasswordHash :execrows
UPDATE users SET password_hash = @password_hash, version = version + 1, updated_at = now()
WHERE id = @id AND (sqlc.narg('expected_hash')::text IS NULL OR password_hash = sqlc.narg('expected_hash'));

-- The row stays as it is until the transaction ends, so that a sign-in and a change of the password
-- happen one after the other.
-- name: LockUser :one
SELECT * FROM users WHERE id = @id FOR NO KEY UPDATE;

-- name: DeleteUser :execrows
DELETE FROM users WHERE id = @id;

-- name: RemoveRolesOfUser :exec
DELETE FROM user_roles ur USING roles r
WHERE ur.role_id = r.id AND ur.user_id = @user_id AND NOT (r.name = ANY(sqlc.arg('keep')::text[]));

-- name: AddRolesToUser :exec
INSERT INTO user_roles (user_id, role_id)
SELECT sqlc.arg('user_id')::uuid, r.id FROM roles r WHERE r.name = ANY(sqlc.arg('names')::text[])
ON CONFLICT DO NOTHING;

-- name: CountHolders :one
SELECT count(DISTINCT u.id)
FROM users u
JOIN user_roles ur ON ur.user_id = u.id
JOIN role_permissions rp ON rp.role_id = ur.role_id
JOIN permissions p ON p.id = rp.permission_id
WHERE p.name = @permission AND u.is_active;
