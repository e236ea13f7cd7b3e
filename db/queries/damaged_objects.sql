-- Objects that are not what was stored, and the backups that need them. A folder belongs to one
-- generation and chunk ids are keyed hashes under its secret, so both name a chunk; a manifest is
-- named by its path.

-- Damage that is found again keeps its first time and is not announced again, unless it had been
-- healed in between.
-- name: PutDamage :exec
INSERT INTO damaged_objects AS d (storage_location_id, object_key, chunk_id, folder, reason)
SELECT sqlc.arg('storage_location_id')::uuid, n.object_key, NULLIF(n.chunk_id, ''), n.folder, n.reason
FROM (
    SELECT unnest(sqlc.arg('object_keys')::text[]) AS object_key, unnest(sqlc.arg('chunk_ids')::bytea[]) AS chunk_id,
           unnest(sqlc.arg('folders')::text[]) AS folder, unnest(sqlc.arg('reasons')::text[]) AS reason
) n
ORDER BY n.object_key
ON CONFLICT (storage_location_id, object_key) DO UPDATE SET
    chunk_id = EXCLUDED.chunk_id, folder = EXCLUDED.folder, reason = EXCLUDED.reason,
    found_at = CASE WHEN d.healed_at IS NULL THEN d.found_at ELSE now() END,
    announced_at = CASE WHEN d.healed_at IS NULL THEN d.announced_at END,
    healed_at = NULL;

-- What a complete check of a backup found whole again.
-- name: ClearDamage :many
UPDATE damaged_objects d SET healed_at = now()
WHERE d.storage_location_id = sqlc.arg('storage_location_id')::uuid AND d.healed_at IS NULL
  AND NOT (d.object_key = ANY(sqlc.arg('still_damaged')::text[]))
  AND (d.object_key = sqlc.arg('manifest_path')::text OR EXISTS (
      SELECT FROM backup_chunks c
      WHERE c.execution_id = sqlc.arg('execution_id')::uuid AND c.chunk_id = d.chunk_id AND c.generation = d.folder))
RETURNING d.object_key;

-- name: HealDamage :many
UPDATE damaged_objects SET healed_at = now()
WHERE storage_location_id = sqlc.arg('storage_location_id')::uuid AND object_key = sqlc.arg('object_key')::text AND healed_at IS NULL
RETURNING (announced_at IS NOT NULL)::boolean;

-- Every backup on its own location that needs an unhealed object of it and was taken for good.
-- name: MarkDamagedBackups :execrows
UPDATE backup_executions e
SET metadata = jsonb_set(e.metadata, '{verification}', COALESCE(e.metadata -> 'verification', jsonb_build_object('mode', sqlc.arg('mode')::text, 'objects', 0, 'bytes', 0))
    || jsonb_build_object('ok', false, 'damaged_objects', n.damaged, 'verified_at', to_jsonb(now()),
        'message', n.damaged || ' of its objects are damaged, found by the check of another backup that needs them too'))
FROM (
    SELECT c.execution_id, count(*) AS damaged
    FROM damaged_objects d
    JOIN backup_chunks c ON c.generation = d.folder AND c.chunk_id = d.chunk_id
    WHERE d.storage_location_id = sqlc.arg('storage_location_id')::uuid AND d.healed_at IS NULL
    GROUP BY c.execution_id
) n
WHERE e.id = n.execution_id AND e.storage_location_id = sqlc.arg('storage_location_id')::uuid
  AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
  AND COALESCE((e.metadata #>> '{verification,ok}')::boolean, true);

-- A backup that has just been completed and builds on an object in which damage was found meanwhile.
-- name: MarkIfDamaged :exec
UPDATE backup_executions e
SET metadata = jsonb_set(e.metadata, '{verification}', COALESCE(e.metadata -> 'verification', jsonb_build_object('mode', 'none', 'objects', 0, 'bytes', 0))
    || jsonb_build_object('ok', false, 'damaged_objects', n.damaged, 'verified_at', to_jsonb(now()),
        'message', n.damaged || ' of its objects are damaged, found by the check of another backup while this one was made'))
FROM (
    SELECT count(*) AS damaged
    FROM backup_chunks c
    JOIN damaged_objects d ON d.folder = c.generation AND d.chunk_id = c.chunk_id AND d.healed_at IS NULL
    JOIN backup_executions own ON own.id = c.execution_id AND own.storage_location_id = d.storage_location_id
    WHERE c.execution_id = sqlc.arg('id')::uuid
) n
WHERE e.id = sqlc.arg('id')::uuid AND e.operation = 'backup' AND e.status = 'completed' AND n.damaged > 0;

-- Every backup that was marked for damage of which nothing is left. A check lists so many damaged
-- objects at most; where it counted more, only another check can say.
-- name: MarkHealedBackups :many
UPDATE backup_executions e
SET metadata = jsonb_set(e.metadata, '{verification}', (e.metadata -> 'verification') - 'damaged_objects'
    || jsonb_build_object('ok', true, 'message', 'the damage that was found has been healed'))
WHERE e.storage_location_id = sqlc.arg('storage_location_id')::uuid AND e.operation = 'backup' AND e.status = 'completed'
  AND e.metadata #>> '{verification,ok}' = 'false'
  AND e.id IN (
      SELECT c.execution_id FROM damaged_objects h
      JOIN backup_chunks c ON c.generation = h.folder AND c.chunk_id = h.chunk_id
      WHERE h.storage_location_id = sqlc.arg('storage_location_id')::uuid AND h.healed_at IS NOT NULL)
  AND COALESCE((e.metadata #>> '{verification,damaged_objects}')::bigint, 0) BETWEEN 1 AND sqlc.arg('most_listed')::bigint
  AND NOT EXISTS (
      SELECT FROM damaged_objects d
      WHERE d.storage_location_id = e.storage_location_id AND d.healed_at IS NULL
        AND (d.object_key = e.metadata ->> 'manifest_path' OR EXISTS (
            SELECT FROM backup_chunks c WHERE c.execution_id = e.id AND c.chunk_id = d.chunk_id AND c.generation = d.folder)))
RETURNING e.id;

-- name: PageDamage :many
SELECT * FROM damaged_objects
WHERE storage_location_id = @storage_location_id
  AND (sqlc.narg('after_key')::text IS NULL OR object_key > sqlc.narg('after_key')::text)
  AND (healed_at IS NULL OR sqlc.arg('healed_too')::boolean)
ORDER BY object_key
LIMIT sqlc.arg('page_size')::int;

-- The backups that need some chunks of a location, on it as their own or as a replica.
-- name: BackupsThatNeedChunks :many
SELECT d.object_key, e.id, e.datasource_id, e.job_id, e.created_at, COALESCE(j.name, '')::text AS job_name
FROM damaged_objects d
JOIN backup_chunks c ON c.generation = d.folder AND c.chunk_id = d.chunk_id
JOIN backup_executions e ON e.id = c.execution_id
LEFT JOIN backup_jobs j ON j.id = e.job_id
WHERE d.storage_location_id = sqlc.arg('storage_location_id')::uuid AND d.object_key = ANY(sqlc.arg('object_keys')::text[])
  AND d.chunk_id IS NOT NULL AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
  AND (e.storage_location_id = d.storage_location_id
       OR EXISTS (SELECT FROM backup_replicas r WHERE r.execution_id = e.id AND r.storage_location_id = d.storage_location_id AND r.copied_at IS NOT NULL))
ORDER BY 1, 5, 2;

-- The backups whose manifests some objects are.
-- name: BackupsOfManifests :many
SELECT d.object_key, e.id, e.datasource_id, e.job_id, e.created_at, COALESCE(j.name, '')::text AS job_name
FROM damaged_objects d
JOIN backup_executions e ON e.storage_location_id = d.storage_location_id AND e.metadata ->> 'manifest_path' = d.object_key
LEFT JOIN backup_jobs j ON j.id = e.job_id
WHERE d.storage_location_id = sqlc.arg('storage_location_id')::uuid AND d.object_key = ANY(sqlc.arg('object_keys')::text[])
  AND d.chunk_id IS NULL AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
UNION ALL
SELECT d.object_key, e.id, e.datasource_id, e.job_id, e.created_at, COALESCE(j.name, '')::text
FROM damaged_objects d
JOIN backup_replicas r ON r.storage_location_id = d.storage_location_id AND r.manifest_path = d.object_key AND r.copied_at IS NOT NULL
JOIN backup_executions e ON e.id = r.execution_id AND e.storage_location_id IS DISTINCT FROM r.storage_location_id
LEFT JOIN backup_jobs j ON j.id = e.job_id
WHERE d.storage_location_id = sqlc.arg('storage_location_id')::uuid AND d.object_key = ANY(sqlc.arg('object_keys')::text[])
  AND d.chunk_id IS NULL AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
ORDER BY 1, 5, 2;

-- Damage of backups that are gone is nobody's.
-- name: ForgetDamage :exec
DELETE FROM damaged_objects d
WHERE d.storage_location_id = sqlc.arg('storage_location_id')::uuid
  AND NOT EXISTS (SELECT FROM backup_chunks c JOIN backup_executions e ON e.id = c.execution_id
                  WHERE c.generation = d.folder AND c.chunk_id = d.chunk_id AND e.status = 'completed')
  AND NOT EXISTS (SELECT FROM backup_executions e
                  WHERE e.storage_location_id = d.storage_location_id AND e.metadata ->> 'manifest_path' = d.object_key AND e.status = 'completed')
  AND NOT EXISTS (SELECT FROM backup_replicas r WHERE r.storage_location_id = d.storage_location_id AND r.manifest_path = d.object_key);

-- name: TakeUnannounced :many
UPDATE damaged_objects SET announced_at = now()
WHERE storage_location_id = sqlc.arg('storage_location_id')::uuid AND announced_at IS NULL
RETURNING object_key, reason, (healed_at IS NOT NULL)::boolean AS healed;
