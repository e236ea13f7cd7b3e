package archive

import (
	"errors"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// seal names the chunk and, unless it is stored already, makes its object. It runs on a member of
// the crew.
func (p *pipeline) seal(s *sealer, j *job) {
	defer close(j.sealed)
	defer j.plaintext.release()
	if j.mine, j.err = p.identify(s, j); j.err != nil || !j.mine {
		return
	}
	j.object = &buffer{arena: p.crew.arena, limit: maxStored(j.plaintext.size)}
	if j.chunk.Checksum, j.err = s.seal(j.plaintext.bytes(), j.object); j.err != nil {
		j.object.release()
		j.err = wrap("seal chunk", j.err)
		return
	}
	j.chunk.StoredBytes = int64(j.object.size)
	p.free(j, len(j.object.list))
}

// identify finds the chunk's id and whether this job has to store it.
func (p *pipeline) identify(s *sealer, j *job) (mine bool, err error) {
	id := s.id(j.plaintext.bytes())
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
	object, err := p.w.opts.Store.Stat(j.ctx, p.w.chunkKey(known))
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
