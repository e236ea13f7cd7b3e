package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"
)

// pipeline is one stream on its way into the store:
//
//	cutter → crew: hash, dedupe, compress, encrypt → upload → report
//
// The cutter reads into a ring and cuts there. Each chunk then goes its own way in a goroutine: it
// waits for a member of the crew, then for an upload. The cutter reserves all the memory that a
// chunk can need before it sends it on, and nobody else reserves, so that no chunk waits for memory
// held by another that waits for it.
type pipeline struct {
	w     *Writer
	crew  *crew
	ring  *ring
	group *errgroup.Group

	mu     sync.Mutex
	chunks []uint32 // the stream's chunks as indices into Writer.objects
	bytes  int64
}

// job is a chunk on its way.
type job struct {
	p         *pipeline
	position  int     // in pipeline.chunks
	plaintext *span   // until it is sealed
	object    *buffer // after it is sealed
	index     uint32
	chunk     StoredChunk
	reserved  int // segments of the crew's arena

	mine   bool          // whether it is to be uploaded
	err    error         // of sealing
	sealed chan struct{} // closed when the crew is done with it
}

// readSize is the most that is read at once: the cutter looks at it while it is in the cache.
const readSize = 512 * kib

// ringSize is the memory for plaintexts: the longest chunk, which is being read, another one that
// begins while the one before is sealed, and room for several of average size to overlap.
func ringSize(p Params) int { return 2*p.Max + min(4*p.Max, 8*mib) }

func (w *Writer) runPipeline(ctx context.Context, meta StreamMeta, r io.Reader) (Stream, error) {
	crew, err := w.joinCrew()
	if err != nil {
		return Stream{}, err
	}
	defer w.leaveCrew()
	memory, err := newRing(ringSize(w.opts.Params))
	if err != nil {
		return Stream{}, err
	}
	defer memory.close()
	group, ctx := errgroup.WithContext(ctx)
	p := &pipeline{w: w, crew: crew, ring: memory, group: group}
	cut := make(chan struct{})
	group.Go(func() error {
		defer close(cut)
		if segmented, ok := r.(Segmented); ok {
			return p.cutAll(ctx, segmented)
		}
		return p.cut(ctx, r)
	})
	group.Go(func() error { return w.reportRegularly(ctx, cut) })
	if err := group.Wait(); err != nil {
		return Stream{}, err
	}
	return Stream{StreamMeta: meta, Bytes: p.bytes, Chunks: p.chunks}, nil
}

// cut reads a stream, or a segment of one, to its end and sends its chunks on.
func (p *pipeline) cut(ctx context.Context, r io.Reader) error {
	longest := p.w.opts.Params.Max
	cutter := newCutter(p.w.opts.Params, p.w.keys.boundary)
	current, err := p.ring.take(ctx, longest)
	if err != nil {
		return err
	}
	edges, offset := edgesOf(r), int64(0) // of current
	filled, scanned := 0, 0               // of current
	for {
		n, err := r.Read(current.bytes()[filled:min(filled+readSize, longest)])
		filled += n
		if n > 0 { // what a stream says of its parts is about what it gave
			edges.read()
		}
		for {
			length, ends := cutter.scan(current.bytes()[scanned:edges.limit(offset, filled)])
			scanned += length
			if !ends {
				passed, cut := edges.pass(cutter)
				if passed && !cut {
					continue
				}
				ends = cut
			}
			if !ends {
				break
			}
			if current, err = p.split(ctx, current, scanned, filled, err); current == nil {
				return err
			}
			offset += int64(scanned)
			filled, scanned = filled-scanned, 0
		}
		if errors.Is(err, io.EOF) {
			return p.last(ctx, current, filled)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			current.release()
			return err
		}
	}
}

// split sends the first length bytes of current on, and returns a span with the rest of what was
// read, together with the error of that read; no span if it fails.
func (p *pipeline) split(ctx context.Context, current *span, length, filled int, readErr error) (*span, error) {
	rest := current.bytes()[length:filled]
	current.shrink(length)
	if err := p.dispatch(ctx, current); err != nil {
		return nil, err
	}
	following, err := p.ring.take(ctx, p.w.opts.Params.Max)
	if err != nil {
		return nil, err
	}
	// Only this goroutine takes spans, so nobody has written where the rest lies. Unless the ring
	// has begun anew it lies in the new span already, at its beginning.
	if following.start != current.start+length {
		copy(following.bytes(), rest)
	}
	return following, readErr
}

// last sends what is left at the end of the stream on.
func (p *pipeline) last(ctx context.Context, current *span, filled int) error {
	if filled == 0 {
		current.release()
		return nil
	}
	current.shrink(filled)
	return p.dispatch(ctx, current)
}

// dispatch sends a chunk on its way when there is memory for its object. It owns the span.
func (p *pipeline) dispatch(ctx context.Context, plaintext *span) error {
	reserve := segments(maxStored(plaintext.size))
	if err := p.crew.memory.Acquire(ctx, int64(reserve)); err != nil {
		plaintext.release()
		return err
	}
	p.mu.Lock()
	j := &job{p: p, position: len(p.chunks), plaintext: plaintext, reserved: reserve, sealed: make(chan struct{})}
	p.chunks = append(p.chunks, 0)
	p.bytes += int64(plaintext.size)
	p.mu.Unlock()
	p.w.counters.bytes.Add(int64(plaintext.size))
	p.w.counters.chunks.Add(1)
	p.group.Go(func() error { return p.store(ctx, j) })
	return nil
}

// store takes a chunk through the stages behind the cutter.
func (p *pipeline) store(ctx context.Context, j *job) error {
	defer func() { p.free(j, 0) }()
	select {
	case p.crew.jobs <- j:
	case <-ctx.Done():
		j.plaintext.release()
		return ctx.Err()
	}
	<-j.sealed // also when ctx has ended: until then the crew reads the span
	if j.err != nil {
		return j.err
	}
	if !j.mine {
		p.w.counters.skipped.Add(1)
		return nil
	}
	err := p.upload(ctx, j)
	j.object.release()
	p.free(j, 0)
	if err != nil {
		return err
	}
	p.w.settle(j.index, j.chunk, true)
	p.w.counters.stored.Add(j.chunk.StoredBytes)
	return p.w.reportIfDue(ctx, j.chunk.StoredBytes)
}

// upload waits for its turn and stores an object.
func (p *pipeline) upload(ctx context.Context, j *job) error {
	if err := p.crew.uploads.acquire(ctx); err != nil {
		return err
	}
	defer func() { p.crew.uploads.release(j.chunk.StoredBytes) }()
	content := &body{buffer: j.object}
	defer content.close()
	if err := p.w.opts.Store.Put(ctx, p.w.chunkKey(j.chunk), content, j.chunk.StoredBytes); err != nil {
		return wrap(fmt.Sprintf("store chunk %s", j.chunk.ID), err)
	}
	return nil
}

// free gives reserved memory back to the cutter, all but keep segments.
func (p *pipeline) free(j *job, keep int) {
	p.crew.memory.Release(int64(j.reserved - keep))
	j.reserved = keep
}
