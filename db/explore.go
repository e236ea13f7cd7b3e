package db

import (
	"context"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// Keeper is a backup that needs a file of a storage location.
type Keeper struct {
	ID         string
	Status     domain.ExecutionStatus
	CreatedAt  time.Time
	Datasource string // its name, "" when it was deleted
}

// String names the backup for people.
func (k Keeper) String() string {
	name := ""
	if k.Datasource != "" {
		name = fmt.Sprintf(" of %q", k.Datasource)
	}
	return fmt.Sprintf("%s backup %s%s from %s", k.Status, k.ID, name, k.CreatedAt.UTC().Format("2006-01-02 15:04:05"))
}

// ChunkKeepers returns backups that are kept or under way and refer to one of the chunks in this
// folder, wherever they are, limit at most, the oldest first.
func (q *Queries) ChunkKeepers(ctx context.Context, folder string, ids [][32]byte, limit int) ([]Keeper, error) {
	keys := make([][]byte, len(ids))
	for i := range ids {
		keys[i] = ids[i][:]
	}
	rows, err := q.q.ChunkKeepers(ctx, dbgen.ChunkKeepersParams{Folder: folder, ChunkIds: keys, MaxKeepers: int32(limit)}) //nolint:gosec // a page
	if err != nil {
		return nil, translate("look for backups that need chunks", err)
	}
	return convert(rows, func(row dbgen.ChunkKeepersRow) (Keeper, error) { return Keeper(row), nil })
}

// BackupKeepers describes backups by their ids, the oldest first.
func (q *Queries) BackupKeepers(ctx context.Context, ids []string) ([]Keeper, error) {
	const op = "describe backups"
	for _, id := range ids {
		if err := checkID(op, id); err != nil {
			return nil, err
		}
	}
	rows, err := q.q.BackupKeepers(ctx, ids)
	if err != nil {
		return nil, translate(op, err)
	}
	return convert(rows, func(row dbgen.BackupKeepersRow) (Keeper, error) { return Keeper(row), nil })
}

// RepositoryKeepers returns the names of the storage locations that are known to hold a repository,
// and the backups there that are kept or under way, limit at most, the oldest first.
func (q *Queries) RepositoryKeepers(ctx context.Context, repositoryID string, limit int) (locations []string, keepers []Keeper, err error) {
	const op = "look for backups that need a repository"
	if repositoryID == "" {
		return nil, nil, nil // of those that hold none
	}
	if locations, err = q.q.RepositoryLocations(ctx, repositoryID); err != nil {
		return nil, nil, translate(op, err)
	}
	rows, err := q.q.RepositoryKeepers(ctx, dbgen.RepositoryKeepersParams{RepositoryID: repositoryID, MaxKeepers: int32(limit)}) //nolint:gosec // a page
	if err != nil {
		return nil, nil, translate(op, err)
	}
	keepers, err = convert(rows, func(row dbgen.RepositoryKeepersRow) (Keeper, error) { return Keeper(row), nil })
	return locations, keepers, err
}

// StoredByDatasource is what the catalogue knows to be on a storage location.
type StoredByDatasource struct {
	DatasourceID string
	Name         string
	Backups      int64 // that are kept there
	Bytes        int64 // that those added
}

// maxStoredDatasources bounds StoredByDatasource.
const maxStoredDatasources = 1000

// StoredByDatasource returns what is kept on a storage location, the datasource with the most first, a
// thousand at most.
func (q *Queries) StoredByDatasource(ctx context.Context, storageID string) ([]StoredByDatasource, error) {
	op := "sum up the backups on storage location " + storageID
	if err := checkID(op, storageID); err != nil {
		return nil, err
	}
	rows, err := q.q.StoredByDatasource(ctx, dbgen.StoredByDatasourceParams{StorageLocationID: storageID, MaxDatasources: maxStoredDatasources})
	if err != nil {
		return nil, translate(op, err)
	}
	return convert(rows, func(row dbgen.StoredByDatasourceRow) (StoredByDatasource, error) { return StoredByDatasource(row), nil })
}
