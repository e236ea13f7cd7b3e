package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"filippo.io/age"
	"golang.org/x/sync/semaphore"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// ReaderOptions say how far ahead a Reader works.
type ReaderOptions struct {
	Prefetch int // chunks fetched, decrypted and decompressed at the same time; 0 is 4
}

// Reader reads the streams of a backup back.
type Reader struct {
	store      storage.Store
	manifest   *Manifest
	identities []age.Identity
	keys       keys
	prefetch   int
}

// NewReader opens the chunk secret, checks the manifest's MAC with it and unseals the manifest.
// Errors: AuthFailed when no identity fits, Corrupt when the manifest was changed.
func NewReader(store storage.Store, m *Manifest, identities []age.Identity, opts ReaderOptions) (*Reader, error) {
	k, err := m.unseal(identities)
	if err != nil {
		return nil, wrap("open backup", err)
	}
	if opts.Prefetch <= 0 {
		opts.Prefetch = 4
	}
	return &Reader{store: store, manifest: m, identities: identities, keys: k, prefetch: opts.Prefetch}, nil
}

// OpenStream reads a stream from its beginning. Chunks are fetched ahead in parallel and come in
// order; no byte of a chunk is returned before the SHA-256 of its object, its length and its keyed
// id were found right. The first bad chunk ends the stream with Corrupt, naming the object and the
// offset in the stream. The caller closes the reader, which stops everything behind it.
func (r *Reader) OpenStream(ctx context.Context, name string) (io.ReadCloser, error) {
	stream, ok := r.manifest.stream(name)
	if !ok {
		return nil, failure.New(failure.NotFound, "open stream", fmt.Sprintf("the backup has no stream %q", name), "")
	}
	// Room for the longest chunk, which is being read by the caller, and for some to come.
	memory, err := newArena(r.manifest.Params.Max + 32*mib)
	if err != nil {
		return nil, wrap("open stream", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &streamReader{
		r: r, stream: stream, ctx: ctx, cancel: cancel, arena: memory,
		memory: semaphore.NewWeighted(int64(len(memory.free))),
		work:   make(chan *fetch), order: make(chan *fetch, r.prefetch),
	}
	s.running.Add(1 + r.prefetch)
	go s.dispatch()
	for range r.prefetch {
		go s.fetchAll()
	}
	return s, nil
}

// fetch is one chunk on its way to the caller.
type fetch struct {
	object    int   // index into Manifest.Objects
	offset    int64 // in the stream
	plaintext *buffer
	reserved  int
	done      chan error // gets one value
}

// streamReader hands chunks to its caller in order. The dispatcher reserves a chunk's memory before
// it is fetched; as it does so in order, the chunk that the caller waits for always has its own.
type streamReader struct {
	r       *Reader
	stream  Stream
	ctx     context.Context
	cancel  context.CancelFunc
	arena   *arena
	memory  *semaphore.Weighted
	work    chan *fetch
	order   chan *fetch
	running sync.WaitGroup

	mu      sync.Mutex // Read and Close
	current *fetch
	pos     int   // in current.plaintext
	err     error // sticky
	closed  bool
}

// dispatch queues the stream's chunks.
func (s *streamReader) dispatch() {
	defer s.running.Done()
	defer close(s.work)
	defer close(s.order)
	offset := int64(0)
	for _, index := range s.stream.Chunks {
		size := s.r.manifest.Objects[index].PlainBytes
		f := &fetch{object: int(index), offset: offset, reserved: segments(int(size)), done: make(chan error, 1)}
		f.plaintext = &buffer{arena: s.arena, limit: int(size)}
		offset += size
		if s.memory.Acquire(s.ctx, int64(f.reserved)) != nil {
			return
		}
		for _, queue := range []chan *fetch{s.order, s.work} {
			select {
			case queue <- f:
			case <-s.ctx.Done():
				return
			}
		}
	}
}

// fetchAll is a worker.
func (s *streamReader) fetchAll() {
	defer s.running.Done()
	opener := newOpener(s.r)
	defer opener.close()
	for f := range s.work {
		err := opener.fetch(s.ctx, f.object, f.plaintext)
		if err != nil {
			err = wrap(fmt.Sprintf("read stream %q at offset %d", s.stream.Name, f.offset), err)
		}
		f.done <- err
	}
}

// Read copies from the current chunk, waiting for the next one where needed.
func (s *streamReader) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	for s.err == nil && (s.current == nil || s.pos == s.current.plaintext.size) {
		s.err = s.advance()
	}
	if s.err != nil {
		return 0, s.err
	}
	total := 0
	for total < len(p) && s.pos < s.current.plaintext.size {
		segment := s.current.plaintext.list[s.pos/segmentSize]
		end := min(segmentSize, s.current.plaintext.size-s.pos/segmentSize*segmentSize)
		n := copy(p[total:], segment[s.pos%segmentSize:end])
		total, s.pos = total+n, s.pos+n
	}
	return total, nil
}

// advance frees the current chunk and waits for the next; io.EOF at the end of the stream.
func (s *streamReader) advance() error {
	if s.current != nil {
		s.current.plaintext.release()
		s.memory.Release(int64(s.current.reserved))
		s.current, s.pos = nil, 0
	}
	if err := s.ctx.Err(); err != nil {
		return err
	}
	f, ok := <-s.order
	if !ok {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		return io.EOF
	}
	select {
	case err := <-f.done:
		if err != nil {
			return err
		}
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
	s.current = f
	return nil
}

var errClosed = errors.New("the stream is closed")

// Close stops the workers and waits for them.
func (s *streamReader) Close() error {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed, s.err = true, errClosed
	s.running.Wait()
	return s.arena.close()
}
