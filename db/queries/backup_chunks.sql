-- name: ListChunks :many
SELECT chunk_id, generation, plain_bytes, stored_bytes, checksum, uploaded
FROM backup_chunks WHERE execution_id = @execution_id ORDER BY chunk_id;

-- name: PageChunks :many
SELECT chunk_id, generation, plain_bytes, stored_bytes, checksum, uploaded
FROM backup_chunks
WHERE execution_id = @execution_id AND (sqlc.narg('after_id')::bytea IS NULL OR chunk_id > sqlc.narg('after_id')::bytea)
ORDER BY chunk_id
LIMIT sqlc.arg('page_size')::int;

-- name: DeleteAllChunks :exec
DELETE FROM backup_chunks WHERE execution_id = @execution_id;
