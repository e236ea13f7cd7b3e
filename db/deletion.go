package db

import (
	"context"
	"fmt"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// HoldBackup locks a backup against deletion until the transaction ends. Whoever creates an execution
// that reads it, or that builds on it, calls this first in the same transaction: from the commit on
// the new row holds the backup. Errors: ErrDeleting, ErrNotFound.
func (q *Queries) HoldBackup(ctx context.Context, id string) error {
	op := "hold backup " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	deletingAt, err := q.q.HoldExecution(ctx, id)
	if err == nil && deletingAt != nil {
		return fmt.Errorf("%s: %w", op, ErrDeleting)
	}
	return translate(op, err)
}

// CheckDeletable locks an execution until the transaction ends and refuses one that must stay. One
// that is being deleted already passes. Errors: InUseError naming what holds it, ErrNotFound.
func (q *Queries) CheckDeletable(ctx context.Context, id string) error {
	op := "delete execution " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	row, err := q.q.LockExecution(ctx, id)
	if err != nil {
		return translate(op, err)
	}
	switch {
	case row.DeletingAt != nil:
		return nil
	case !row.Status.Finished():
		return &InUseError{Holders: []string{"it is " + string(row.Status)}}
	case row.Pinned:
		return &InUseError{Holders: []string{"it is pinned"}}
	}
	holders, err := q.q.ExecutionHolders(ctx, dbgen.ExecutionHoldersParams{ID: id, MaxHolders: maxHolders})
	return refuseHeld(op, holders, err)
}

// MarkDeleting is the first phase of a deletion: from its commit on nothing restores, verifies or
// builds on the backup, and the deletion will be carried to its end. Errors as CheckDeletable.
func (q *Queries) MarkDeleting(ctx context.Context, id string) error {
	return q.inTx(ctx, func(q *Queries) error {
		if err := q.CheckDeletable(ctx, id); err != nil {
			return err
		}
		return translate("mark execution "+id+" as being deleted", q.q.MarkDeleting(ctx, id))
	})
}

// SetPinned protects a backup from deletion, or no longer does. Errors: ErrDeleting, ErrNotFound.
func (q *Queries) SetPinned(ctx context.Context, id string, pinned bool) error {
	op := "pin execution " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	return q.inTx(ctx, func(q *Queries) error {
		row, err := q.q.LockExecution(ctx, id)
		if err != nil {
			return translate(op, err)
		}
		if row.DeletingAt != nil {
			return fmt.Errorf("%s: %w", op, ErrDeleting)
		}
		return translate(op, q.q.SetPinned(ctx, dbgen.SetPinnedParams{ID: id, Pinned: pinned}))
	})
}

// ListDeleting returns the executions on a storage location that are being deleted, limit at most,
// the longest marked first.
func (q *Queries) ListDeleting(ctx context.Context, storageID string, limit int) ([]string, error) {
	const op = "list what is being deleted"
	if err := checkID(op, storageID); err != nil {
		return nil, err
	}
	ids, err := q.q.ListDeleting(ctx, dbgen.ListDeletingParams{StorageLocationID: storageID, PageSize: int32(limit)}) //nolint:gosec // a page
	return ids, translate(op, err)
}

// RemovableChunk is an object that a backup refers to.
type RemovableChunk struct {
	ID          [32]byte
	Folder      string
	StoredBytes int64
	Referenced  bool // by another backup on the location that is kept or running
}

// PageRemovable reads the next chunks of a backup in the order of their ids, after the given one (nil
// for the first), limit at most, and counts who else refers to their objects on a storage location.
func (q *Queries) PageRemovable(ctx context.Context, executionID, storageID string, after []byte, limit int) ([]RemovableChunk, error) {
	op := "count the references to the chunks of execution " + executionID
	for _, id := range []string{executionID, storageID} {
		if err := checkID(op, id); err != nil {
			return nil, err
		}
	}
	rows, err := q.q.PageRemovable(ctx, dbgen.PageRemovableParams{
		ExecutionID: executionID, StorageLocationID: storageID, AfterID: after, PageSize: int32(limit), //nolint:gosec // a page
	})
	if err != nil {
		return nil, translate(op, err)
	}
	return convert(rows, func(row dbgen.PageRemovableRow) (RemovableChunk, error) {
		if len(row.ChunkID) != 32 {
			return RemovableChunk{}, failure.New(failure.Corrupt, op, "a chunk id is not 32 bytes", "")
		}
		return RemovableChunk{ID: [32]byte(row.ChunkID), Folder: row.Folder, StoredBytes: row.StoredBytes, Referenced: row.Referenced}, nil
	})
}

// RemoveExecution is the last phase of a deletion: the row goes, with its chunks. One that is gone is
// no error; one that is not marked is an error.
func (q *Queries) RemoveExecution(ctx context.Context, id string) error {
	op := "remove execution " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	n, err := q.q.RemoveExecution(ctx, id)
	if err != nil || n > 0 {
		return translate(op, err)
	}
	if _, err := q.q.ExecutionStatus(ctx, id); err != nil {
		if err := translate(op, err); failure.ClassOf(err) != failure.NotFound {
			return err
		}
		return nil
	}
	return failure.New(failure.ConfigInvalid, op, "it is not marked as being deleted", "")
}
