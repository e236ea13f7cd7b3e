package activities

import (
	"context"
	"errors"
	"math"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// recordUpload writes down chunks that are durable on the storage location, so that the next
// attempt need not send them again. It is also where an attempt that was cut off, and has been
// overtaken, finds out and stops.
func (a *Activities) recordUpload(ctx context.Context, job *backup, attempt int32, batch []archive.StoredChunk) error {
	if err := a.DB.HoldsDump(ctx, job.id(), attempt); err != nil {
		return err
	}
	rows := make([]db.Chunk, len(batch))
	for i, c := range batch {
		rows[i] = chunkRow(c.Folder, c)
	}
	return a.DB.AddChunks(ctx, job.id(), rows)
}

// settleChunks makes the storage location and the rows say what the recorded manifest says, after a
// dump that took more than one attempt: what earlier attempts left, and it does not name, goes.
// Folders of later attempts are not looked at: should this one be overtaken now, they are in use.
func (a *Activities) settleChunks(ctx context.Context, job *backup, manifest *archive.Manifest, attempt int32) error {
	if attempt <= 1 {
		return nil
	}
	named := make(map[string]bool, len(manifest.Objects))
	rows := make([]db.Chunk, len(manifest.Objects))
	for i, o := range manifest.Objects {
		named[manifest.ObjectKey(i)] = true
		rows[i] = chunkRow(manifest.Folder(i), o.StoredChunk)
	}
	for earlier := int32(1); earlier <= attempt; earlier++ {
		if earlier < attempt {
			if err := job.store.Delete(ctx, job.manifestKey(earlier)); err != nil {
				return err
			}
		}
		folder := archive.GenerationDir(job.directory(), archive.AttemptFolder(job.execution.Generation, earlier)) + "/"
		if err := deleteObjects(ctx, job.store, folder, func(key string) bool { return !named[key] }); err != nil {
			return err
		}
	}
	return a.DB.InTx(ctx, func(q *db.Queries) error {
		if err := q.HoldsDump(ctx, job.id(), attempt); err != nil {
			return err
		}
		if err := q.DeleteAllChunks(ctx, job.id()); err != nil {
			return err
		}
		return q.AddChunks(ctx, job.id(), rows)
	})
}

func chunkRow(folder string, c archive.StoredChunk) db.Chunk {
	return db.Chunk{
		ID: c.ID, Generation: folder, PlainBytes: c.PlainBytes, StoredBytes: c.StoredBytes, Checksum: c.Checksum, Uploaded: true,
	}
}

// DiscardBackup removes what a failed or cancelled backup stored: its manifest first, so that the
// backup stops to exist before its chunks do, then the chunks, then their rows.
func (a *Activities) DiscardBackup(ctx context.Context, in contract.ExecutionRef) (contract.Nothing, error) {
	return contract.Nothing{}, toTemporal(ctx, a.discard(ctx, in.ExecutionID))
}

func (a *Activities) discard(ctx context.Context, executionID string) error {
	job, err := a.loadBackup(ctx, executionID)
	if err != nil {
		return err
	}
	defer job.close()
	if job.execution.Status == domain.Completed {
		return failure.New(failure.ConfigInvalid, "discard backup "+executionID, "the backup is completed", "")
	}
	stop := a.report(ctx, executionID, func() domain.Progress { return domain.Progress{Phase: domain.PhaseCleaning} })
	defer stop()
	// An attempt that was cut off and still writes finds itself overtaken at its next batch.
	if err := a.DB.ClaimDump(ctx, executionID, math.MaxInt32); err != nil && !errors.Is(err, db.ErrExecutionFinished) {
		return err
	}
	everything := func(string) bool { return true }
	for _, prefix := range []string{job.manifestPrefix(), job.chunkPrefix()} {
		if err := deleteObjects(ctx, job.store, prefix, everything); err != nil {
			return failure.WithSubject(err, aboutStorage(job.storage.Name))
		}
	}
	return a.DB.DeleteAllChunks(ctx, executionID)
}

func deleteObjects(ctx context.Context, store storage.Store, prefix string, unwanted func(key string) bool) error {
	var keys []string
	err := store.List(ctx, prefix, func(o storage.Object) error {
		if unwanted(o.Key) {
			keys = append(keys, o.Key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := store.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
