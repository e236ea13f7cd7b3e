package activities

import (
	"context"
	"path"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// recordUpload writes down chunks that are durable on the storage location, so that the next
// attempt need not send them again.
func (a *Activities) recordUpload(ctx context.Context, job *backup, batch []archive.StoredChunk) error {
	rows := make([]db.Chunk, len(batch))
	for i, c := range batch {
		rows[i] = db.Chunk{
			ID: c.ID, Generation: job.execution.Generation,
			PlainBytes: c.PlainBytes, StoredBytes: c.StoredBytes, Checksum: c.Checksum, Uploaded: true,
		}
	}
	return a.DB.AddChunks(ctx, job.id(), rows)
}

// removeStray deletes what earlier attempts of this execution left in its generation and the
// manifest does not name. A first attempt leaves nothing.
func (a *Activities) removeStray(ctx context.Context, job *backup, manifest *archive.Manifest, attempt int32) error {
	if attempt <= 1 {
		return nil
	}
	named := make(map[string]bool, len(manifest.Objects))
	ids := make(map[archive.ChunkID]bool, len(manifest.Objects))
	for i, o := range manifest.Objects {
		named[manifest.ObjectKey(i)], ids[o.ID] = true, true
	}
	err := deleteObjects(ctx, job.store, archive.GenerationDir(job.directory(), job.execution.Generation)+"/", func(key string) bool {
		return !named[key]
	})
	if err != nil {
		return err
	}
	rows, err := a.DB.ListChunks(ctx, job.id())
	if err != nil {
		return err
	}
	var stray [][32]byte
	for _, row := range rows {
		if !ids[row.ID] {
			stray = append(stray, row.ID)
		}
	}
	return a.DB.DeleteChunks(ctx, job.id(), stray)
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
	everything := func(string) bool { return true }
	prefixes := []string{
		path.Dir(job.manifestKey()) + "/",
		archive.GenerationDir(job.directory(), job.execution.Generation) + "/",
	}
	for _, prefix := range prefixes {
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
