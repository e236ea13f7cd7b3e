package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	chunkers "github.com/PlakarKorp/go-cdc-chunkers"
	_ "github.com/PlakarKorp/go-cdc-chunkers/chunkers/fastcdc" // registers chunkerAlgorithm
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// inFlight is the memory for chunks between the chunker and the end of their upload: two of the
// longest (its plaintext and its object, both of which may be in use) and 16 MiB that let several
// of average size overlap.
//
// With the largest Params (32 MiB at most) that is 80 MiB, and 32 MiB for the chunker's window, all
// of it outside the Go heap. On the heap, zstd's encoders take about 9 MiB a worker (50 above level
// 10), so two workers hold 20 MiB and the collector may let that become 40; manifest entries take
// 150 bytes a chunk. Together with some 20 MiB for the program itself a backup stays below 200 MiB
// resident, and with 1 MiB chunks near 80.
func inFlight(p Params) int { return p.Max + maxStored(p.Max) + 16*mib }

// scanWindow is the chunker's buffer: the longest chunk, or more of them where that is not much
// memory. The chunker moves what it has not cut yet to the front whenever the buffer is full, which
// a larger one does less often.
func scanWindow(p Params) int { return max(p.Max, min(8*p.Max, 16*mib)) }

// pipeline is one stream on its way into the store:
//
//	chunker → (jobs) → workers: hash, dedupe, compress, encrypt → (sealed) → uploaders → flusher
//
// The chunker reserves all the memory a chunk can need before it hands it on, and nobody else
// reserves, so that stages never wait for memory held by an earlier one.
type pipeline struct {
	w      *Writer
	arena  *arena
	memory *semaphore.Weighted // in segments of the arena
	jobs   chan *job
	sealed chan *job
	kick   chan struct{} // wakes the flusher

	mu     sync.Mutex
	chunks []uint32 // the stream's chunks as indices into Writer.objects
	unsent int64    // bytes stored since the last report
}

// job is a chunk on its way.
type job struct {
	position  int     // in pipeline.chunks
	plaintext *buffer // until it is sealed
	object    *buffer // after it is sealed
	index     uint32
	chunk     StoredChunk
	reserved  int // segments
}

func (w *Writer) runPipeline(ctx context.Context, meta StreamMeta, r io.Reader) (stream Stream, err error) {
	window, err := newArena(scanWindow(w.opts.Params))
	if err != nil {
		return stream, err
	}
	defer window.close()
	memory, err := newArena(inFlight(w.opts.Params))
	if err != nil {
		return stream, err
	}
	defer memory.close()
	p := &pipeline{
		w: w, arena: memory, memory: semaphore.NewWeighted(int64(len(memory.free))),
		jobs: make(chan *job), sealed: make(chan *job), kick: make(chan struct{}, 1),
	}
	stream = Stream{StreamMeta: meta}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(p.jobs)
		return p.cut(ctx, r, window.memory, &stream)
	})
	p.stage(group, w.opts.Workers, func() { close(p.sealed) }, func() error { return p.seal(ctx) })
	uploaded := make(chan struct{})
	p.stage(group, w.opts.Uploads, func() { close(uploaded) }, func() error { return p.upload(ctx) })
	group.Go(func() error { return p.reportRegularly(ctx, uploaded) })
	if err := group.Wait(); err != nil {
		return stream, err
	}
	stream.Chunks = p.chunks
	return stream, nil
}

// stage starts count goroutines and calls after when the last one has ended.
func (p *pipeline) stage(group *errgroup.Group, count int, after func(), run func() error) {
	var running sync.WaitGroup
	running.Add(count)
	for range count {
		group.Go(func() error {
			defer running.Done()
			return run()
		})
	}
	group.Go(func() error {
		running.Wait()
		after()
		return nil
	})
}

// cut is the chunker: it reads the stream and hands on copies of its chunks.
func (p *pipeline) cut(ctx context.Context, r io.Reader, window []byte, stream *Stream) error {
	params := p.w.opts.Params
	key := p.w.keys.boundary
	chunker, err := chunkers.NewChunkerBuffer(chunkerAlgorithm, r, &chunkers.ChunkerOpts{
		MinSize: params.Min, NormalSize: params.Average, MaxSize: params.Max, Key: key[:],
	}, window)
	if err != nil {
		return failure.Wrap(failure.ConfigInvalid, "cut chunks", err, "")
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := chunker.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(data) > 0 {
			stream.Bytes += int64(len(data))
			if err := p.dispatch(ctx, data); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
	}
}

// dispatch copies a chunk out of the chunker's window and queues it.
func (p *pipeline) dispatch(ctx context.Context, data []byte) error {
	reserve := segments(len(data)) + segments(maxStored(len(data)))
	if err := p.memory.Acquire(ctx, int64(reserve)); err != nil {
		return err
	}
	p.mu.Lock()
	j := &job{position: len(p.chunks), plaintext: &buffer{arena: p.arena}, reserved: reserve}
	p.chunks = append(p.chunks, 0)
	p.mu.Unlock()
	if _, err := j.plaintext.Write(data); err != nil {
		return err
	}
	p.w.counters.bytes.Add(int64(len(data)))
	p.w.counters.chunks.Add(1)
	select {
	case p.jobs <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// upload is an uploader: it stores objects.
func (p *pipeline) upload(ctx context.Context) error {
	for j := range p.sealed {
		content := &body{buffer: j.object}
		err := p.w.opts.Store.Put(ctx, p.w.chunkKey(j.chunk), content, j.chunk.StoredBytes)
		content.close()
		if err != nil {
			return wrap(fmt.Sprintf("store chunk %s", j.chunk.ID), err)
		}
		j.object.release()
		p.free(j, 0)
		p.w.settle(j.index, j.chunk, true)
		p.w.counters.stored.Add(j.chunk.StoredBytes)
		p.wakeFlusher(j.chunk.StoredBytes)
	}
	return ctx.Err()
}

func (p *pipeline) wakeFlusher(stored int64) {
	p.mu.Lock()
	p.unsent += stored
	full := p.unsent >= reportBytes
	if full {
		p.unsent = 0
	}
	p.mu.Unlock()
	if full {
		select {
		case p.kick <- struct{}{}:
		default: // it is awake
		}
	}
}

// reportRegularly is the flusher. What is left when the stream ends waits for the next stream or
// for Commit.
func (p *pipeline) reportRegularly(ctx context.Context, uploaded <-chan struct{}) error {
	ticker := time.NewTicker(reportInterval)
	defer ticker.Stop()
	for {
		select {
		case <-p.kick:
		case <-ticker.C:
		case <-uploaded:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := p.w.report(ctx); err != nil {
			return err
		}
	}
}
