package activities

import (
	"context"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// chunkWriter prepares the archive writer of a backup: the generation's secret, which every
// attempt shares, and the chunks that need not be stored again.
func (a *Activities) chunkWriter(ctx context.Context, job *backup, base *base, attempt int32, estimate engine.Estimate) (*archive.Writer, error) {
	known, err := a.knownChunks(ctx, job, base)
	if err != nil {
		return nil, err
	}
	params, secret := base.params, base.secret
	if base.parent == "" {
		params = archive.ParamsFor(estimate.Bytes)
		if secret, err = a.DB.ChunkSecret(ctx, job.datasource.ID, job.execution.Generation); err != nil {
			return nil, err
		}
	}
	writer, err := archive.NewWriter(ctx, archive.WriterOptions{
		Store:         job.store,
		DatasourceDir: job.directory(),
		Generation:    job.execution.Generation,
		Folder:        job.folder(attempt),
		Parent:        base.parent,
		Secret:        secret,
		Params:        params,
		Compression:   job.options.Compression,
		Level:         job.options.CompressionLevel,
		Recipients:    base.recipients,
		Known:         known,
		OnStored: func(ctx context.Context, batch []archive.StoredChunk) error {
			return a.recordUpload(ctx, job, attempt, batch)
		},
		Uploads: a.Tuning.Uploads,
	})
	return writer, failure.WithSubject(err, aboutStorage(job.storage.Name))
}

// knownChunks are the chunks of the backup that this one builds on, and those of this very execution
// that a lost attempt made durable, as far as the storage location really has them.
func (a *Activities) knownChunks(ctx context.Context, job *backup, base *base) (*archive.KnownChunks, error) {
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
