-- The address of a hook is a secret of the job alone; an execution says that there was one. Those of jobs are sealed by the first
-- process that opens the catalogue, which has the key.

-- +goose Up
UPDATE backup_executions SET metadata = jsonb_set(metadata, '{options,hooks}', (
    SELECT jsonb_object_agg(moment, (
        SELECT jsonb_agg(CASE WHEN hook ? 'url' THEN hook || '{"url": "********"}' ELSE hook END ORDER BY place)
        FROM jsonb_array_elements(CASE jsonb_typeof(hooks) WHEN 'array' THEN hooks ELSE '[]' END) WITH ORDINALITY AS h (hook, place)))
    FROM jsonb_each(metadata #> '{options,hooks}') AS m (moment, hooks)))
WHERE jsonb_path_exists(metadata, '$.options.hooks.*[*].url');

-- +goose Down
SELECT 1;
