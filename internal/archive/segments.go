package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// Segmented is a stream made of segments, which Writer.WriteStream takes in place of a plain reader.
// Its Read is never called. Every segment begins and ends at a chunk boundary.
type Segmented interface {
	io.Reader

	// Next returns the next segment, and io.EOF after the last one. The data of the one before has been
	// read to its end by then. It ends with the context, as Read of a plain reader does.
	Next() (Segment, error)
}

// Segment is a part of a Segmented stream.
type Segment struct {
	Data   io.Reader // nil: it is Reused
	Reused Run       // of Layout.Run
}

// Run is a range of a stored stream that begins and ends at a chunk boundary: the chunks in it.
type Run struct{ chunks []runChunk }

type runChunk struct {
	id    ChunkID
	plain int64
}

// Layout finds the chunks of ranges of a stored backup's streams. It holds the manifest and 8 bytes for
// each chunk of a stream. It may be used by several goroutines.
type Layout struct {
	manifest *Manifest
	ends     map[string][]int64 // of a stream's chunks, in bytes from its beginning
}

// NewLayout measures the streams of a manifest.
func NewLayout(m *Manifest) *Layout {
	l := &Layout{manifest: m, ends: make(map[string][]int64, len(m.Streams))}
	for _, s := range m.Streams {
		ends, end := make([]int64, len(s.Chunks)), int64(0)
		for i, chunk := range s.Chunks {
			end += m.Objects[chunk].PlainBytes
			ends[i] = end
		}
		l.ends[s.Name] = ends
	}
	return l
}

// Run returns the chunks that hold exactly the given bytes of a stream. A range that holds nothing, is
// not in the stream, or does not begin and end at a chunk boundary is failure.ConfigInvalid.
func (l *Layout) Run(stream string, offset, bytes int64) (Run, error) {
	run, err := l.run(stream, offset, bytes)
	if err != nil {
		return Run{}, failure.Wrap(failure.ConfigInvalid, fmt.Sprintf("reuse %d bytes at %d of stream %q", bytes, offset, stream), err, "")
	}
	return run, nil
}

func (l *Layout) run(name string, offset, bytes int64) (Run, error) {
	stream, ok := l.manifest.stream(name)
	if !ok {
		return Run{}, errors.New("the backup has no such stream")
	}
	if offset < 0 || bytes < 1 || offset > stream.Bytes || bytes > stream.Bytes-offset {
		return Run{}, fmt.Errorf("the stream has %d bytes", stream.Bytes)
	}
	ends := l.ends[name]
	first, aligned := 0, true
	if offset > 0 {
		first, aligned = slices.BinarySearch(ends, offset)
		first++
	}
	last, alignedEnd := slices.BinarySearch(ends, offset+bytes)
	if !aligned || !alignedEnd {
		return Run{}, errors.New("the range does not begin and end at a chunk boundary")
	}
	run := Run{chunks: make([]runChunk, 0, last+1-first)}
	for _, chunk := range stream.Chunks[first : last+1] {
		object := l.manifest.Objects[chunk]
		run.chunks = append(run.chunks, runChunk{id: object.ID, plain: object.PlainBytes})
	}
	return run, nil
}

// Holds reports, after Confirm, whether every chunk of the run is known to be on the storage.
func (k *KnownChunks) Holds(run Run) bool {
	for _, c := range run.chunks {
		if known, ok := k.get(c.id); !ok || known.PlainBytes != c.plain {
			return false
		}
	}
	return true
}

// cutAll cuts every segment of a stream by itself, and puts the chunks of those that are reused between.
func (p *pipeline) cutAll(ctx context.Context, s Segmented) error {
	for {
		segment, err := s.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if segment.Data != nil {
			err = p.cut(ctx, segment.Data)
		} else {
			err = p.reuse(segment.Reused)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// reuse makes stored chunks the next ones of the stream. Each was seen on the storage by Confirm, or is
// stored by this very backup: one that is neither would make a backup that can not be restored.
func (p *pipeline) reuse(run Run) error {
	for _, c := range run.chunks {
		index, err := p.w.refer(c)
		if err != nil {
			return failure.Wrap(failure.Corrupt, "reuse stored chunks", err, "Run the backup again as a full one.")
		}
		p.mu.Lock()
		p.chunks = append(p.chunks, index)
		p.bytes += c.plain
		p.mu.Unlock()
		p.w.counters.bytes.Add(c.plain)
		p.w.counters.chunks.Add(1)
		p.w.counters.skipped.Add(1)
	}
	return nil
}

// refer finds the object of a chunk that needs no storing.
func (w *Writer) refer(c runChunk) (index uint32, err error) {
	known, found := w.opts.Known.get(c.id)
	w.mu.Lock()
	defer w.mu.Unlock()
	if index, ok := w.index[c.id]; ok {
		return index, nil
	}
	if !found || known.PlainBytes != c.plain {
		return 0, fmt.Errorf("chunk %s is not on the storage location", c.id)
	}
	index = uint32(len(w.objects))
	w.index[c.id] = index
	w.objects = append(w.objects, known)
	return index, nil
}
