-- name: AddAgeIdentity :exec
INSERT INTO encryption_keys (id, purpose, public, secret) VALUES (@id, 'age_identity', @public, @secret)
ON CONFLICT (purpose) WHERE purpose = 'age_identity' DO NOTHING;

-- name: AgeIdentity :one
SELECT id, public, secret FROM encryption_keys WHERE purpose = 'age_identity';

-- name: AddChunkSecret :exec
INSERT INTO encryption_keys (id, purpose, datasource_id, generation, secret)
VALUES (@id, 'chunk_secret', sqlc.arg('datasource_id')::uuid, sqlc.arg('generation')::text, @secret)
ON CONFLICT (datasource_id, generation) DO NOTHING;

-- name: ChunkSecret :one
SELECT id, secret FROM encryption_keys
WHERE purpose = 'chunk_secret' AND datasource_id = sqlc.arg('datasource_id')::uuid AND generation = sqlc.arg('generation')::text;

-- name: AddMasterKeyCheck :exec
INSERT INTO master_key_check (sealed) VALUES (@sealed) ON CONFLICT (id) DO NOTHING;

-- name: MasterKeyCheck :one
SELECT sealed FROM master_key_check;

-- name: ReplaceMasterKeyCheck :execrows
UPDATE master_key_check SET sealed = @sealed, updated_at = now();

-- name: LockMasterKeyCheck :one
SELECT sealed FROM master_key_check FOR SHARE;

-- name: MasterKeyCheckForUpdate :one
SELECT sealed FROM master_key_check FOR UPDATE;
