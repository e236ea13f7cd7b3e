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
}

// PutReplica records a copy; again for the same location, it replaces the path. Errors:
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

// ListReplicas reads the copies of a backup, oldest first.
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
