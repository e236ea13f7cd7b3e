package activities

import (
	"context"

	"filippo.io/age"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// chunkWriter prepares the archive writer of a backup: the generation's secret, which every
// attempt shares, and the chunks that earlier attempts stored.
func (a *Activities) chunkWriter(ctx context.Context, job *backup, attempt int32, estimate engine.Estimate) (*archive.Writer, error) {
	if err := a.bindRepository(ctx, job.storage, job.store); err != nil {
		return nil, err
	}
	secret, err := a.DB.ChunkSecret(ctx, job.id())
	if err != nil {
		return nil, err
	}
	known, err := a.knownChunks(ctx, job)
	if err != nil {
		return nil, err
	}
	var recipients []age.Recipient
	if job.options.Encrypted() {
		if recipients, err = a.recipients(ctx); err != nil {
			return nil, err
		}
	}
	writer, err := archive.NewWriter(ctx, archive.WriterOptions{
		Store:         job.store,
		DatasourceDir: job.directory(),
		Generation:    job.execution.Generation,
		Folder:        job.folder(attempt),
		Secret:        secret,
		Params:        archive.ParamsFor(estimate.Bytes),
		Compression:   job.options.Compression,
		Level:         job.options.CompressionLevel,
		Recipients:    recipients,
		Known:         known,
		OnStored: func(ctx context.Context, batch []archive.StoredChunk) error {
			return a.recordUpload(ctx, job, attempt, batch)
		},
		Uploads: a.Tuning.Uploads,
	})
	return writer, failure.WithSubject(err, aboutStorage(job.storage.Name))
}

// knownChunks are the chunks of this very execution that a lost attempt made durable.
func (a *Activities) knownChunks(ctx context.Context, job *backup) (map[archive.ChunkID]archive.StoredChunk, error) {
	rows, err := a.DB.ListChunks(ctx, job.id())
	if err != nil {
		return nil, err
	}
	known := make(map[archive.ChunkID]archive.StoredChunk, len(rows))
	for _, row := range rows {
		known[row.ID] = archive.StoredChunk{
			Folder: row.Generation, ID: row.ID, PlainBytes: row.PlainBytes, StoredBytes: row.StoredBytes, Checksum: row.Checksum,
		}
	}
	if len(known) > 0 {
		a.log(ctx, job.id(), "info", "resuming: %d chunks are stored already", len(known))
	}
	return known, nil
}
