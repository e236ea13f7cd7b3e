package db

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/db/dbgen"
)

// BackupPlaces is where a backup is, and what is known to be damaged there.
type BackupPlaces struct {
	Copies  []Copy           // its own location first
	Damaged map[string]int64 // objects, by storage location where there are any
}

// PlacesOf is ListCopies and DamagedCopies for a page of backups, in two queries for all of them.
func (q *Queries) PlacesOf(ctx context.Context, executionIDs []string) (map[string]BackupPlaces, error) {
	const op = "list the copies of backups"
	rows, err := q.conn.Query(ctx, `
		SELECT e.id::text, e.storage_location_id::text, true, e.generation, COALESCE(e.metadata ->> 'manifest_path', ''),
		       COALESCE(e.metadata ->> 'manifest_sha256', ''), e.compressed_size_bytes, e.created_at
		FROM backup_executions e
		WHERE e.id = ANY($1::uuid[]) AND e.storage_location_id IS NOT NULL
		  AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
		UNION ALL
		SELECT e.id::text, r.storage_location_id::text, false, e.generation, r.manifest_path,
		       COALESCE(e.metadata ->> 'manifest_sha256', ''), e.compressed_size_bytes, e.created_at
		FROM backup_replicas r
		JOIN backup_executions e ON e.id = r.execution_id
		WHERE e.id = ANY($1::uuid[]) AND r.copied_at IS NOT NULL AND r.storage_location_id IS DISTINCT FROM e.storage_location_id
		  AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
		ORDER BY 3 DESC, 2`, executionIDs)
	if err != nil {
		return nil, translate(op, err)
	}
	copies, err := pgx.CollectRows(rows, pgx.RowToStructByPos[dbgen.ListCopiesRow])
	if err != nil {
		return nil, translate(op, err)
	}
	out := make(map[string]BackupPlaces, len(executionIDs))
	for _, row := range copies {
		at := out[row.ExecutionID]
		at.Copies = append(at.Copies, Copy(row))
		out[row.ExecutionID] = at
	}
	return out, q.damageOf(ctx, executionIDs, out)
}

// damageOf adds the damage. There is hardly ever any: the damaged objects lead, not the backups.
func (q *Queries) damageOf(ctx context.Context, executionIDs []string, out map[string]BackupPlaces) error {
	type damage struct {
		execution, location string
		objects             int64
	}
	const op = "look for damage of backups"
	rows, err := q.conn.Query(ctx, `
		SELECT e.id::text, d.storage_location_id::text, count(*)
		FROM damaged_objects d
		JOIN backup_executions e ON e.id = ANY($1::uuid[]) AND (
		    d.object_key = COALESCE(e.metadata ->> 'manifest_path', '')
		    OR EXISTS (SELECT FROM backup_chunks c WHERE c.execution_id = e.id AND c.chunk_id = d.chunk_id AND c.generation = d.folder))
		WHERE d.healed_at IS NULL
		GROUP BY e.id, d.storage_location_id`, executionIDs)
	if err != nil {
		return translate(op, err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d damage, err error) {
		return d, row.Scan(&d.execution, &d.location, &d.objects)
	})
	if err != nil {
		return translate(op, err)
	}
	for _, d := range found {
		at := out[d.execution]
		if at.Damaged == nil {
			at.Damaged = make(map[string]int64)
		}
		at.Damaged[d.location] = d.objects
		out[d.execution] = at
	}
	return nil
}
