package db

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// TargetReport is what became of a backup on a storage location, with what people are told.
type TargetReport struct {
	Result  domain.StorageResult // At is filled in
	Warning string               // added to metadata.warnings; "" for none
	Alert   *Notification        // written; nil for none
}

// RecordTarget puts a result into metadata.storage_results, in the place of the one before for the same
// location, and reports whether that was news: recording the same again does nothing, and tells nobody
// twice. Errors: ErrNotFound.
func (q *Queries) RecordTarget(ctx context.Context, id string, r TargetReport) (news bool, err error) {
	op := "record the storage result of execution " + id
	if err := checkID(op, id); err != nil {
		return false, err
	}
	r.Result.Error, r.Result.Hint, r.Warning = cleanText(r.Result.Error), cleanText(r.Result.Hint), cleanText(r.Warning)
	err = q.inTx(ctx, func(q *Queries) error {
		// Under the lock of the row, reading, changing and writing back undoes nobody's part.
		if _, err := q.q.LockExecution(ctx, id); err != nil {
			return translate(op, err)
		}
		e, err := q.GetExecution(ctx, id)
		if err != nil {
			return err
		}
		part := map[string]any{}
		results := e.Metadata.StorageResults
		i := slices.IndexFunc(results, func(s domain.StorageResult) bool { return s.StorageLocationID == r.Result.StorageLocationID })
		if i < 0 {
			i, results = len(results), append(results, domain.StorageResult{})
		}
		r.Result.At = results[i].At
		if news = results[i] != r.Result; !news {
			return nil
		}
		r.Result.At = time.Now().UTC()
		results[i] = r.Result
		part["storage_results"] = results
		if r.Warning != "" && !slices.Contains(e.Metadata.Warnings, r.Warning) {
			part["warnings"] = append(e.Metadata.Warnings, r.Warning)
		}
		if r.Alert != nil {
			if err := q.AddNotification(ctx, *r.Alert); err != nil {
				return err
			}
		}
		document, err := json.Marshal(part)
		if err != nil {
			return failure.Wrap(failure.Unknown, op, err, "")
		}
		n, err := q.q.MergeMetadata(ctx, dbgen.MergeMetadataParams{ID: id, Part: document})
		return oneRow(op, n, err)
	})
	return news, err
}

// MoveBackup makes an unfinished backup begin anew on another storage location, as if it had been queued
// for that one. Attempts up to the given number must stop writing. Repeated, it does the same again, as
// long as no later attempt has begun. Errors: ErrSuperseded, ErrExecutionFinished, ErrNotFound,
// ReferenceError.
func (q *Queries) MoveBackup(ctx context.Context, id, storageLocationID string, attempt int32) error {
	op := "move execution " + id + " to another storage location"
	for _, one := range []string{id, storageLocationID} {
		if err := checkID(op, one); err != nil {
			return err
		}
	}
	return q.inTx(ctx, func(q *Queries) error {
		n, err := q.q.MoveBackup(ctx, dbgen.MoveBackupParams{
			ID: id, StorageLocationID: &storageLocationID, Attempt: attempt, Generation: domain.ID8(id),
		})
		if err != nil {
			return translate(op, err)
		}
		if n == 0 {
			return q.checkHolder(ctx, op, id, attempt)
		}
		return q.DeleteAllChunks(ctx, id)
	})
}

// SetRestoreSource records which copy a running restore reads. Errors: ErrNotFound, also for one that
// has ended; ReferenceError.
func (q *Queries) SetRestoreSource(ctx context.Context, id, storageLocationID string) error {
	op := "choose the source of restore " + id
	for _, one := range []string{id, storageLocationID} {
		if err := checkID(op, one); err != nil {
			return err
		}
	}
	n, err := q.q.SetRestoreSource(ctx, dbgen.SetRestoreSourceParams{ID: id, StorageLocationID: &storageLocationID})
	return oneRow(op, n, err)
}
