package db

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// Place is a storage location that a backup is on.
type Place struct {
	StorageLocationID string
	Name              string
	Type              domain.StorageLocationType
	Status            domain.StorageLocationStatus
	Pool              string
	ManifestPath      string
	IsPrimary         bool  // the backup was made there
	Damaged           int64 // objects there that are known to be damaged
}

// PlacesOf is ListCopies and DamagedCopies for a page of backups, with what is shown of the locations: in one query for all of
// them, and one more where there is damage on one of the locations. Those that ctx does not see are left out.
func (q *Queries) PlacesOf(ctx context.Context, executionIDs []string) (map[string][]Place, error) {
	const op = "list the copies of backups"
	rows, err := q.conn.Query(ctx, `
		SELECT c.execution_id::text, l.id::text, l.name, l.type, l.status, l.pool, c.manifest_path, c.is_primary,
		       EXISTS (SELECT FROM damaged_objects d WHERE d.storage_location_id = l.id AND d.healed_at IS NULL)
		FROM (
		    SELECT e.id AS execution_id, e.storage_location_id, true AS is_primary, COALESCE(e.metadata ->> 'manifest_path', '') AS manifest_path
		    FROM backup_executions e
		    WHERE e.id = ANY($1::uuid[]) AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
		    UNION ALL
		    SELECT e.id, r.storage_location_id, false, r.manifest_path
		    FROM backup_replicas r
		    JOIN backup_executions e ON e.id = r.execution_id
		    WHERE r.execution_id = ANY($1::uuid[]) AND r.copied_at IS NOT NULL AND r.storage_location_id IS DISTINCT FROM e.storage_location_id
		      AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL) c
		JOIN storage_locations l ON l.id = c.storage_location_id
		ORDER BY c.is_primary DESC, l.id`, executionIDs)
	if err != nil {
		return nil, translate(op, err)
	}
	out, damage := make(map[string][]Place, len(executionIDs)), false
	var id string
	var p Place
	var damaged bool
	_, err = pgx.ForEachRow(rows, []any{&id, &p.StorageLocationID, &p.Name, &p.Type, &p.Status, &p.Pool, &p.ManifestPath, &p.IsPrimary, &damaged}, func() error {
		if q.Sees(ctx, domain.ScopeStorageLocation, p.StorageLocationID) {
			out[id] = append(out[id], p)
			damage = damage || damaged
		}
		return nil
	})
	if err != nil {
		return nil, translate(op, err)
	}
	if damage {
		err = q.damageOf(ctx, executionIDs, out)
	}
	return out, err
}

// damageOf adds the damage. There is hardly ever any: the damaged objects lead, not the backups.
func (q *Queries) damageOf(ctx context.Context, executionIDs []string, out map[string][]Place) error {
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
	var execution, location string
	var objects int64
	_, err = pgx.ForEachRow(rows, []any{&execution, &location, &objects}, func() error {
		for i := range out[execution] {
			if out[execution][i].StorageLocationID == location {
				out[execution][i].Damaged = objects
			}
		}
		return nil
	})
	return translate(op, err)
}
