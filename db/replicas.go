package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
)

// Replica is a copy of a backup on another storage location than its own. Its objects have the same
// keys there, relative to the location's root.
type Replica struct {
	ExecutionID       string
	StorageLocationID string
	ManifestPath      string
	VerifiedAt        *time.Time // when all of its bytes were last read
	CreatedAt         time.Time
	CopiedAt          *time.Time // since when it is whole; nil: it is being made, or was not finished
}

// PutReplica records a copy that is whole; again for the same location, it replaces the path. Errors:
// ReferenceError.
func (q *Queries) PutReplica(ctx context.Context, r Replica) error {
	op := "record a replica of execution " + r.ExecutionID
	for _, id := range []string{r.ExecutionID, r.StorageLocationID} {
		if err := checkID(op, id); err != nil {
			return err
		}
	}
	return translate(op, q.q.PutReplica(ctx, dbgen.PutReplicaParams{
		ExecutionID: r.ExecutionID, StorageLocationID: r.StorageLocationID, ManifestPath: r.ManifestPath,
	}))
}

// BeginReplica records that a location is going to hold a copy of a backup that is running or
// completed, and reports whether it holds a whole one already. From its commit on, whoever counts
// references on the location counts the backup. Errors: ErrDeleting, ErrNotFound, ReferenceError.
func (q *Queries) BeginReplica(ctx context.Context, r Replica) (copied bool, err error) {
	op := "begin a replica of execution " + r.ExecutionID
	for _, id := range []string{r.ExecutionID, r.StorageLocationID} {
		if err := checkID(op, id); err != nil {
			return false, err
		}
	}
	err = q.inTx(ctx, func(q *Queries) error {
		if err := q.HoldBackup(ctx, r.ExecutionID); err != nil {
			return err
		}
		copied, err = q.q.BeginReplica(ctx, dbgen.BeginReplicaParams{
			ExecutionID: r.ExecutionID, StorageLocationID: r.StorageLocationID, ManifestPath: r.ManifestPath,
		})
		return translate(op, err)
	})
	return copied, err
}

// CompleteReplica records that a copy is whole, unless its backup is being deleted. Errors: ErrDeleting,
// ErrNotFound.
func (q *Queries) CompleteReplica(ctx context.Context, executionID, storageLocationID string) error {
	op := "complete a replica of execution " + executionID
	if err := checkID(op, storageLocationID); err != nil {
		return err
	}
	return q.inTx(ctx, func(q *Queries) error {
		if err := q.HoldBackup(ctx, executionID); err != nil {
			return err
		}
		n, err := q.q.CompleteReplica(ctx, dbgen.CompleteReplicaParams{ExecutionID: executionID, StorageLocationID: storageLocationID})
		return oneRow(op, n, err)
	})
}

// SharerBeingDeleted reports whether a backup that may share objects with this one is being deleted
// from a storage location.
func (q *Queries) SharerBeingDeleted(ctx context.Context, executionID, storageLocationID string) (bool, error) {
	op := "look for deletions beside execution " + executionID
	for _, id := range []string{executionID, storageLocationID} {
		if err := checkID(op, id); err != nil {
			return false, err
		}
	}
	found, err := q.q.SharerBeingDeleted(ctx, dbgen.SharerBeingDeletedParams{ExecutionID: executionID, StorageLocationID: storageLocationID})
	return found, translate(op, err)
}

// ListReplicas reads the copies of a backup, whole or not, oldest first.
func (q *Queries) ListReplicas(ctx context.Context, executionID string) ([]Replica, error) {
	op := "list the replicas of execution " + executionID
	if err := checkID(op, executionID); err != nil {
		return nil, err
	}
	rows, err := q.q.ListReplicas(ctx, executionID)
	if err != nil {
		return nil, translate(op, err)
	}
	return convert(rows, func(row dbgen.BackupReplica) (Replica, error) { return Replica(row), nil })
}

// DeleteReplica forgets a copy. One that is not recorded is no error.
func (q *Queries) DeleteReplica(ctx context.Context, executionID, storageLocationID string) error {
	op := "forget a replica of execution " + executionID
	for _, id := range []string{executionID, storageLocationID} {
		if err := checkID(op, id); err != nil {
			return err
		}
	}
	return translate(op, q.q.DeleteReplica(ctx, dbgen.DeleteReplicaParams{ExecutionID: executionID, StorageLocationID: storageLocationID}))
}

// SharedChunk is an object that a backup refers to.
type SharedChunk struct {
	ID     []byte
	Folder string
	Shared bool // another backup has it on the location, whole as far as is known
}

// PageShared reads the next chunks of a backup in the order of their ids, after the given one (nil for the
// first), limit at most, and says which of them another backup has on a storage location.
func (q *Queries) PageShared(ctx context.Context, executionID, storageLocationID string, after []byte, limit int) ([]SharedChunk, error) {
	op := "look for shared chunks of execution " + executionID
	for _, id := range []string{executionID, storageLocationID} {
		if err := checkID(op, id); err != nil {
			return nil, err
		}
	}
	rows, err := q.q.PageShared(ctx, dbgen.PageSharedParams{
		ExecutionID: executionID, StorageLocationID: storageLocationID, AfterID: after, PageSize: int32(limit), //nolint:gosec // a page
	})
	if err != nil {
		return nil, translate(op, err)
	}
	return convert(rows, func(row dbgen.PageSharedRow) (SharedChunk, error) {
		return SharedChunk{ID: row.ChunkID, Folder: row.Folder, Shared: row.Shared}, nil
	})
}
