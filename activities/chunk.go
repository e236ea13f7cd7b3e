package activities

import (
	"context"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// chunkWriter prepares the archive writer of a backup: the generation's secret, which every
// attempt shares, and the chunks that need not be stored again, which it returns too.
func (a *Activities) chunkWriter(ctx context.Context, job *backup, base *base, attempt int32, estimate engine.Estimate) (*archive.Writer, *archive.KnownChunks, error) {
	if base.parent == "" {
		var err error
		base.params = archive.ParamsFor(estimate.Bytes)
		if base.secret, err = a.DB.ChunkSecret(ctx, job.datasource.ID, job.execution.Generation); err != nil {
			return nil, nil, err
		}
	}
	known, err := a.knownChunks(ctx, job, base, attempt)
	if err != nil {
		return nil, nil, err
	}
	writer, err := archive.NewWriter(ctx, archive.WriterOptions{
		Store:         job.store,
		DatasourceDir: job.directory(),
		Generation:    job.execution.Generation,
		Folder:        job.folder(attempt),
		Parent:        base.parent,
		Secret:        base.secret,
		Params:        base.params,
		Compression:   job.options.Compression,
		Level:         job.options.CompressionLevel,
		Recipients:    base.recipients,
		Known:         known,
		OnStored: func(ctx context.Context, batch []archive.StoredChunk) error {
			return a.recordUpload(ctx, job, attempt, batch)
		},
		Uploads:     a.Tuning.Uploads,
		ReportEvery: a.Tuning.RecordEvery,
	})
	return writer, known, failure.WithSubject(err, aboutStorage(job.storage.Name))
}

// knownChunks are the chunks of the backup that this one builds on, and those of this very execution
// that a lost attempt made durable, as far as the storage location really has them.
func (a *Activities) knownChunks(ctx context.Context, job *backup, base *base, attempt int32) (*archive.KnownChunks, error) {
	known := new(archive.KnownChunks)
	if base.manifest != nil {
		if err := known.AddManifest(base.manifest, job.directory()); err != nil {
			return nil, err
		}
		base.manifest = nil // it may be as large as what is made of it
	}
	rows, err := a.DB.ListChunks(ctx, job.id())
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		err := known.Add(archive.StoredChunk{
			Folder: row.Generation, ID: row.ID, PlainBytes: row.PlainBytes, StoredBytes: row.StoredBytes, Checksum: row.Checksum,
		})
		if err != nil {
			return nil, failure.Wrap(failure.Corrupt, "read the chunks of execution "+job.id(), err, "")
		}
	}
	if attempt > 1 {
		if err := a.adoptChunks(ctx, job, base, attempt, known); err != nil {
			return nil, err
		}
	}
	if known.Len() == 0 {
		return known, nil
	}
	wanted := known.Len()
	if err := known.Confirm(ctx, job.store, job.directory(), job.options.Compression, job.options.Encrypted()); err != nil {
		return nil, failure.WithSubject(err, aboutStorage(job.storage.Name))
	}
	a.log(ctx, job.id(), "info", "%d of %d recorded chunks are there and need not be stored again", known.Len(), wanted)
	return known, nil
}

// adoptChunks finds and records what earlier attempts had stored and not yet recorded when they were
// lost, so that it is not sent again.
func (a *Activities) adoptChunks(ctx context.Context, job *backup, base *base, attempt int32, known *archive.KnownChunks) error {
	options := archive.AdoptOptions{
		Store: job.store, DatasourceDir: job.directory(), Secret: base.secret, Longest: base.params.Max, Compression: job.options.Compression,
	}
	for earlier := int32(1); earlier < attempt; earlier++ {
		options.Folders = append(options.Folders, job.folder(earlier))
	}
	if job.options.Encrypted() {
		var err error
		if options.Identities, err = a.identities(ctx); err != nil {
			return err
		}
	}
	adopted, err := known.Adopt(ctx, options)
	if err == nil && len(adopted) > 0 {
		err = job.store.Sync(ctx)
	}
	if err != nil || len(adopted) == 0 {
		return failure.WithSubject(err, aboutStorage(job.storage.Name))
	}
	a.log(ctx, job.id(), "info", "found %d chunks that a lost attempt had stored and not yet recorded", len(adopted))
	return a.recordUpload(ctx, job, attempt, adopted)
}
