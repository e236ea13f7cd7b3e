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
		rows[i] = chunkRow(c.Folder, c, true)
	}
	if err := a.DB.AddChunks(ctx, job.id(), rows); err != nil {
		return err
	}
	a.at("dump.batch_recorded")
	return nil
}

// chunkRow is the row of a chunk, which this execution has uploaded or only refers to.
func chunkRow(folder string, c archive.StoredChunk, uploaded bool) db.Chunk {
	return db.Chunk{
		ID: c.ID, Generation: folder, PlainBytes: c.PlainBytes, StoredBytes: c.StoredBytes, Checksum: c.Checksum, Uploaded: uploaded,
	}
}

// DiscardBackup removes what a failed or cancelled backup stored: its manifest first, so that the
// backup stops to exist before its chunks do, then the chunks, then their rows.
func (a *Activities) DiscardBackup(ctx context.Context, in contract.DiscardInput) (contract.Nothing, error) {
	fence := in.Before
	if fence == 0 {
		fence = math.MaxInt32
	}
	return contract.Nothing{}, toTemporal(ctx, a.discard(ctx, in.ExecutionID, fence))
}

// discard removes what attempts before the fence stored.
func (a *Activities) discard(ctx context.Context, executionID string, fence int32) error {
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
	if err := a.DB.ClaimDump(ctx, executionID, fence); err != nil && !errors.Is(err, db.ErrExecutionFinished) {
		return err
	}
	if err := a.removeStored(ctx, job, fence); err != nil {
		return err
	}
	a.at("discard.rows_removed")
	return nil
}

// removeStored removes all that this execution stored, and nothing of the backups that its
// generation holds besides. attempt is the one that does so: should it be overtaken, the rows are those
// of a later one, maybe on another storage location.
func (a *Activities) removeStored(ctx context.Context, job *backup, attempt int32) error {
	err := deleteObjects(ctx, job.store, job.manifestPrefix(), everyObject)
	if err == nil {
		a.at("discard.manifest_removed")
		err = deleteObjects(ctx, job.store, job.chunkPrefix(), job.stored)
	}
	if err != nil {
		return failure.WithSubject(err, aboutStorage(job.storage.Name))
	}
	a.at("discard.objects_removed")
	return a.DB.ForgetChunks(ctx, job.id(), attempt)
}

func everyObject(string) bool { return true }

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
	return storage.DeleteMany(ctx, store, keys)
}
