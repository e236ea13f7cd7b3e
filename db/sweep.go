package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// StoredBackup is what the catalogue knows of a backup whose files are met on a storage.
type StoredBackup struct {
	ID           string
	Status       domain.ExecutionStatus
	Generation   string
	DeletingAt   *time.Time
	CreatedAt    time.Time
	ManifestPath string // "" before its dump began
	// Lost: it was closed because Temporal did not know its workflow. That may be so because the
	// catalogue is older than the storage, and then the backup may be complete.
	Lost bool
}

// Abandoned reports whether what the backup left on the storage is of no use.
func (b StoredBackup) Abandoned() bool {
	return b.Status == domain.Failed || b.Status == domain.Cancelled
}

// BackupsOfGeneration returns every backup that stored, or may store, into the folders of a
// generation, on whatever location, the oldest first.
func (q *Queries) BackupsOfGeneration(ctx context.Context, generation string) ([]StoredBackup, error) {
	rows, err := q.q.BackupsOfGeneration(ctx, generation)
	if err != nil {
		return nil, translate("list the backups of generation "+generation, err)
	}
	return convert(rows, func(row dbgen.BackupsOfGenerationRow) (StoredBackup, error) { return StoredBackup(row), nil })
}

// BackupsCreatedIn returns the backups that were created in the second that begins at the given time.
func (q *Queries) BackupsCreatedIn(ctx context.Context, second time.Time) ([]StoredBackup, error) {
	rows, err := q.q.BackupsCreatedIn(ctx, second)
	if err != nil {
		return nil, translate("list the backups of a second", err)
	}
	return convert(rows, func(row dbgen.BackupsCreatedInRow) (StoredBackup, error) { return StoredBackup(row), nil })
}

// LiveChunks returns those of the ids to which a kept or running backup refers in this folder.
func (q *Queries) LiveChunks(ctx context.Context, folder string, ids [][32]byte) (map[[32]byte]bool, error) {
	const op = "look for references to chunks"
	keys := make([][]byte, len(ids))
	for i := range ids {
		keys[i] = ids[i][:]
	}
	rows, err := q.q.LiveChunks(ctx, dbgen.LiveChunksParams{Folder: folder, ChunkIds: keys})
	if err != nil {
		return nil, translate(op, err)
	}
	live := make(map[[32]byte]bool, len(rows))
	for _, id := range rows {
		if len(id) != 32 {
			return nil, failure.New(failure.Corrupt, op, "a chunk id is not 32 bytes", "")
		}
		live[[32]byte(id)] = true
	}
	return live, nil
}

// ForgetChunksOfFailed deletes the chunk rows of the backups on a storage location that failed or were
// cancelled before the given time, and returns how many it deleted.
func (q *Queries) ForgetChunksOfFailed(ctx context.Context, storageID string, before time.Time) (int64, error) {
	const op = "forget the chunks of failed backups"
	if err := checkID(op, storageID); err != nil {
		return 0, err
	}
	n, err := q.q.ForgetChunksOfFailed(ctx, dbgen.ForgetChunksOfFailedParams{StorageLocationID: storageID, Before: before})
	return n, translate(op, err)
}

// ListDatasourceIDs returns the ids of all datasources.
func (q *Queries) ListDatasourceIDs(ctx context.Context) ([]string, error) {
	ids, err := q.q.ListDatasourceIDs(ctx)
	return ids, translate("list the datasources", err)
}
