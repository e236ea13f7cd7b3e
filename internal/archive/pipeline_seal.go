package archive

// seal names the chunk and, unless it is stored already, makes its object. It runs on a member of
// the crew.
func (p *pipeline) seal(s *sealer, j *job) {
	defer close(j.sealed)
	defer j.plaintext.release()
	if j.mine = p.identify(s, j); !j.mine {
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
func (p *pipeline) identify(s *sealer, j *job) (mine bool) {
	id := s.hasher.id(j.plaintext.bytes())
	j.index, mine = p.w.claim(id, j.plaintext.size)
	p.mu.Lock()
	p.chunks[j.position] = j.index
	p.mu.Unlock()
	if !mine {
		return false
	}
	if known, ok := p.w.opts.Known.get(id); ok && known.PlainBytes == int64(j.plaintext.size) {
		p.w.settle(j.index, known, false)
		return false
	}
	j.chunk = StoredChunk{Folder: p.w.opts.Folder, ID: id, PlainBytes: int64(j.plaintext.size)}
	return true
}

func (w *Writer) encoding() encoding {
	return encoding{compression: w.opts.Compression, encrypted: len(w.opts.Recipients) > 0}
}

func (w *Writer) chunkKey(c StoredChunk) string {
	return ChunkDir(w.opts.DatasourceDir, c.Folder) + "/" + chunkPath(c.ID, w.encoding())
}
