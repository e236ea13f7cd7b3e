package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"filippo.io/age"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// ReaderOptions say how far ahead a Reader works.
type ReaderOptions struct {
	Prefetch int // chunks fetched, decrypted and decompressed at the same time; 0 is 4, or 2 of large chunks
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
		if m.Params.Max > 8*mib { // each may hold an object of that size
			opts.Prefetch = 2
		}
	}
	return &Reader{store: store, manifest: m, identities: identities, keys: k, prefetch: opts.Prefetch}, nil
}

// OpenStream reads a stream from its beginning. Chunks are fetched ahead in parallel and come in
// order; no byte of a chunk is returned before the SHA-256 of its object, its length and its keyed
// id were found right. The first bad chunk ends the stream with Corrupt, naming the object and the
// offset in the stream. The caller closes the reader, which stops everything behind it.
func (r *Reader) OpenStream(ctx context.Context, name string) (io.ReadCloser, error) {
	return r.OpenStreamAt(ctx, name, 0)
}

// OpenStreamAt is OpenStream from an offset in bytes, up to the stream's length. Chunks that end
// before it are not fetched.
func (r *Reader) OpenStreamAt(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	stream, ok := r.manifest.stream(name)
	if !ok {
		return nil, failure.New(failure.NotFound, "open stream", fmt.Sprintf("the backup has no stream %q", name), "")
	}
	if offset < 0 || offset > stream.Bytes {
		return nil, failure.New(failure.NotFound, "open stream", fmt.Sprintf("stream %q has %d bytes, and no offset %d", name, stream.Bytes, offset), "")
	}
	first, begin := 0, int64(0)
	for ; first < len(stream.Chunks); first++ {
		size := r.manifest.Objects[stream.Chunks[first]].PlainBytes
		if begin+size > offset {
			break
		}
		begin += size
	}
	// Room for the longest chunk, which is being read by the caller, and for some to come.
	longest := r.manifest.Params.Max + decodeSlack
	memory, err := newRing(longest + min(4*longest, 32*mib))
	if err != nil {
		return nil, wrap("open stream", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &streamReader{
		r: r, stream: stream, first: first, begin: begin, skip: int(offset - begin), ctx: ctx, cancel: cancel, ring: memory,
		work: make(chan *fetch), order: make(chan *fetch, r.prefetch),
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
	size      int
	plaintext *span      // of size bytes, and decodeSlack more
	done      chan error // gets one value
}

// decodeSlack is the room behind a plaintext that lets zstd's decoder copy in steps of 16 bytes.
const decodeSlack = 64

// bytes is where the plaintext is.
func (f *fetch) bytes() []byte { return f.plaintext.bytes()[:f.size] }

// streamReader hands chunks to its caller in order. The dispatcher takes a chunk's memory before it
// is fetched; as it does so in order, the chunk that the caller waits for always has its own.
type streamReader struct {
	r       *Reader
	stream  Stream
	first   int   // index into stream.Chunks of the first one that is read
	begin   int64 // its offset in the stream
	skip    int   // bytes of it that are not wanted
	ctx     context.Context
	cancel  context.CancelFunc
	ring    *ring
	work    chan *fetch
	order   chan *fetch
	running sync.WaitGroup

	mu      sync.Mutex // Read, WriteTo and Close
	current *fetch
	rest    []byte // of current.plaintext
	err     error  // sticky
	closed  bool
}

// dispatch queues the stream's chunks.
func (s *streamReader) dispatch() {
	defer s.running.Done()
	defer close(s.work)
	defer close(s.order)
	offset := s.begin
	for _, index := range s.stream.Chunks[s.first:] {
		size := s.r.manifest.Objects[index].PlainBytes
		f := &fetch{object: int(index), offset: offset, size: int(size), done: make(chan error, 1)}
		offset += size
		var err error
		if f.plaintext, err = s.ring.take(s.ctx, int(size)+decodeSlack); err != nil {
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
		err := opener.fetch(s.ctx, f.object, f.bytes())
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
	if !s.ready() {
		return 0, s.err
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// WriteTo writes the rest of the stream to w, from where it was decoded.
func (s *streamReader) WriteTo(w io.Writer) (total int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.ready() {
		n, err := w.Write(s.rest)
		total, s.rest = total+int64(n), s.rest[n:]
		if err != nil {
			return total, err
		}
	}
	if errors.Is(s.err, io.EOF) {
		return total, nil
	}
	return total, s.err
}

// ready waits until rest holds something; it is false once there is nothing more, see err.
func (s *streamReader) ready() bool {
	for s.err == nil && len(s.rest) == 0 {
		s.err = s.advance()
	}
	return s.err == nil
}

// advance frees the current chunk and waits for the next; io.EOF at the end of the stream.
func (s *streamReader) advance() error {
	if s.current != nil {
		s.current.plaintext.release()
		s.current = nil
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
	s.current, s.rest, s.skip = f, f.bytes()[s.skip:], 0
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
	s.ring.close()
	return nil
}
