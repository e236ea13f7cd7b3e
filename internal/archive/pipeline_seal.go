package archive

import (
	"context"
	"errors"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// seal is a worker: it names chunks and encodes those that are not stored yet.
func (p *pipeline) seal(ctx context.Context) error {
	s, err := p.w.takeSealer()
	if err != nil {
		return err
	}
	defer p.w.sealer.Put(s)
	for j := range p.jobs {
		if err := ctx.Err(); err != nil {
			return err
		}
		mine, err := p.identify(ctx, j)
		if err != nil {
			return err
		}
		if !mine {
			p.w.counters.skipped.Add(1)
			j.plaintext.release()
			p.free(j, 0)
			continue
		}
		if err := p.encode(s, j); err != nil {
			return wrap("seal chunk", err)
		}
		select {
		case p.sealed <- j:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// takeSealer returns an encoder; those of an earlier stream are used again.
func (w *Writer) takeSealer() (*sealer, error) {
	if s, ok := w.sealer.Get().(*sealer); ok {
		return s, nil
	}
	c, err := newCompressor(w.opts.Compression, w.opts.Level, w.opts.Params.Max)
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, "seal chunk", err, "")
	}
	return &sealer{compressor: c, recipients: w.opts.Recipients}, nil
}

// identify finds the chunk's id and whether this job has to store it.
func (p *pipeline) identify(ctx context.Context, j *job) (mine bool, err error) {
	hasher := newHash(p.w.keys.id)
	if err := j.plaintext.writeTo(hasher); err != nil {
		return false, err
	}
	id := ChunkID(sum(hasher))
	j.index, mine = p.w.claim(id, j.plaintext.size)
	p.mu.Lock()
	p.chunks[j.position] = j.index
	p.mu.Unlock()
	if !mine {
		return false, nil
	}
	j.chunk = StoredChunk{Folder: p.w.folder(), ID: id, PlainBytes: int64(j.plaintext.size)}
	known, ok := p.w.opts.Known[id]
	if !ok || known.PlainBytes != j.chunk.PlainBytes {
		return true, nil
	}
	known.ID = id
	// The lost attempt may have died between the record and the disk: believe the storage.
	object, err := p.w.opts.Store.Stat(ctx, p.w.chunkKey(known))
	if errors.Is(err, storage.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, wrap("look for a chunk of an earlier attempt", err)
	}
	if object.Size != known.StoredBytes {
		return true, nil
	}
	p.w.settle(j.index, known, false)
	return false, nil
}

func (w *Writer) encoding() encoding {
	return encoding{compression: w.opts.Compression, encrypted: len(w.opts.Recipients) > 0}
}

// folder is where this writer stores.
func (w *Writer) folder() string { return AttemptFolder(w.opts.Generation, w.opts.Attempt) }

func (w *Writer) chunkKey(c StoredChunk) string {
	return GenerationDir(w.opts.DatasourceDir, c.Folder) + "/" + chunkPath(c.ID, w.encoding())
}

// encode replaces the plaintext by the object and gives back what is not needed any more.
func (p *pipeline) encode(s *sealer, j *job) (err error) {
	j.object = &buffer{arena: p.arena, limit: maxStored(j.plaintext.size)}
	if j.chunk.Checksum, err = s.seal(j.plaintext, j.object); err != nil {
		return err
	}
	j.chunk.StoredBytes = int64(j.object.size)
	j.plaintext.release()
	p.free(j, len(j.object.list))
	return nil
}

// free gives reserved memory back to the chunker, all but keep segments.
func (p *pipeline) free(j *job, keep int) {
	p.memory.Release(int64(j.reserved - keep))
	j.reserved = keep
}
