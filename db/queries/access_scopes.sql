-- name: CreateScopeRule :one
INSERT INTO access_scopes (id, user_id, role_id, permission, effect, resource, resource_id, tag)
VALUES (@id, @user_id, @role_id, @permission, @effect, @resource, @resource_id, @tag)
RETURNING *;

-- name: GetScopeRule :one
SELECT * FROM access_scopes WHERE id = @id;

-- name: ListScopeRules :many
SELECT * FROM access_scopes
WHERE (sqlc.narg('user_id')::uuid IS NULL OR user_id = sqlc.narg('user_id'))
  AND (sqlc.narg('role_id')::uuid IS NULL OR role_id = sqlc.narg('role_id'))
  AND (sqlc.narg('before_created_at')::timestamptz IS NULL
       OR (created_at, id) < (sqlc.narg('before_created_at')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg('page_size')::int;

-- name: DeleteScopeRule :execrows
DELETE FROM access_scopes WHERE id = @id;

-- Those of a user, and of the roles that the user has.
-- name: ScopeRulesOfUser :many
SELECT own.* FROM access_scopes own WHERE own.user_id = sqlc.arg('user_id')::uuid
UNION ALL
SELECT by_role.* FROM user_roles ur JOIN access_scopes by_role ON by_role.role_id = ur.role_id WHERE ur.user_id = sqlc.arg('user_id')::uuid;

-- name: GrantsByRole :many
SELECT ur.role_id, p.name
FROM user_roles ur
JOIN role_permissions rp ON rp.role_id = ur.role_id
JOIN permissions p ON p.id = rp.permission_id
WHERE ur.user_id = @user_id;

-- name: DatasourcesTagged :many
SELECT d.id, tag::text AS tag FROM datasources d, unnest(d.tags) AS tag WHERE tag = ANY(sqlc.arg('tags')::text[]);

-- name: StorageLocationsTagged :many
SELECT l.id, tag::text AS tag FROM storage_locations l, unnest(l.tags) AS tag WHERE tag = ANY(sqlc.arg('tags')::text[]);

-- A backup job has the tags of its datasource.
-- name: BackupJobsTagged :many
SELECT j.id, tag::text AS tag FROM backup_jobs j JOIN datasources d ON d.id = j.datasource_id, unnest(d.tags) AS tag
WHERE tag = ANY(sqlc.arg('tags')::text[]);
