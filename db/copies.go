package db

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
)

// Copy is a backup on one storage location: its own, or that of a replica.
type Copy struct {
	ExecutionID         string
	StorageLocationID   string
	IsPrimary           bool // on the location that the backup was made on
	Generation          string
	ManifestPath        string
	ManifestSHA256      string // as it was recorded when the backup was made, the same for every copy
	CompressedSizeBytes int64
	CreatedAt           time.Time
}

// ListCopies reads where a backup is, its own location first. A backup that is not completed, or is
// being deleted, has no copies.
func (q *Queries) ListCopies(ctx context.Context, executionID string) ([]Copy, error) {
	op := "list the copies of execution " + executionID
	if err := checkID(op, executionID); err != nil {
		return nil, err
	}
	rows, err := q.q.ListCopies(ctx, executionID)
	if err != nil {
		return nil, translate(op, err)
	}
	return convert(rows, func(row dbgen.ListCopiesRow) (Copy, error) { return Copy(row), nil })
}

// GetCopy reads the copy of a backup on a storage location. Errors: ErrNotFound, also for a backup
// that is not completed or is being deleted.
func (q *Queries) GetCopy(ctx context.Context, executionID, storageLocationID string) (Copy, error) {
	copies, err := q.ListCopies(ctx, executionID)
	if err != nil {
		return Copy{}, err
	}
	for _, c := range copies {
		if c.StorageLocationID == storageLocationID {
			return c, nil
		}
	}
	return Copy{}, translate("read the copy of execution "+executionID+" on storage location "+storageLocationID, ErrNotFound)
}

// ListGenerationCopies reads the copies on a storage location of the backups of a generation, in the
// order in which they were made.
func (q *Queries) ListGenerationCopies(ctx context.Context, storageLocationID, generation string) ([]Copy, error) {
	op := "list the backups of generation " + generation
	if err := checkID(op, storageLocationID); err != nil {
		return nil, err
	}
	rows, err := q.q.ListGenerationCopies(ctx, dbgen.ListGenerationCopiesParams{StorageLocationID: storageLocationID, Generation: generation})
	if err != nil {
		return nil, translate(op, err)
	}
	return convert(rows, func(row dbgen.ListGenerationCopiesRow) (Copy, error) { return Copy(row), nil })
}

// DamagedCopies counts, for each storage location where there are any, the objects of a backup that are
// known to be damaged.
func (q *Queries) DamagedCopies(ctx context.Context, executionID, manifestPath string) (map[string]int64, error) {
	op := "look for damage of execution " + executionID
	if err := checkID(op, executionID); err != nil {
		return nil, err
	}
	rows, err := q.q.DamagedCopies(ctx, dbgen.DamagedCopiesParams{ExecutionID: executionID, ManifestPath: manifestPath})
	if err != nil {
		return nil, translate(op, err)
	}
	damaged := make(map[string]int64, len(rows))
	for _, row := range rows {
		damaged[row.StorageLocationID] = row.Damaged
	}
	return damaged, nil
}

// ReadableCopies lists the copies of a backup on enabled locations of a pool, "" for any: those without known
// damage first, and of equals the backup's own. What the caller's scope does not show is left out.
func (q *Queries) ReadableCopies(ctx context.Context, executionID, pool string) ([]Copy, error) {
	copies, err := q.ListCopies(ctx, executionID)
	if err != nil || len(copies) == 0 {
		return nil, err
	}
	e, err := q.GetExecution(ctx, executionID)
	if err != nil {
		return nil, err
	}
	damaged, err := q.DamagedCopies(ctx, executionID, copies[0].ManifestPath)
	if err != nil {
		return nil, err
	}
	if v := e.Metadata.Verification; v != nil && !v.OK && e.StorageLocationID != nil {
		damaged[*e.StorageLocationID]++
	}
	var readable []Copy
	for _, c := range copies {
		location, err := q.GetStorageLocation(ctx, c.StorageLocationID)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if location.Enabled && (pool == "" || location.Pool == pool) {
			readable = append(readable, c)
		}
	}
	slices.SortStableFunc(readable, func(a, b Copy) int {
		return cmp.Compare(min(damaged[a.StorageLocationID], 1), min(damaged[b.StorageLocationID], 1))
	})
	return readable, nil
}
