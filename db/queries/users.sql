-- name: CreateUser :one
INSERT INTO users (id, email, name, password_hash, is_owner)
VALUES (@id, @email, @name, @password_hash, @is_owner)
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
