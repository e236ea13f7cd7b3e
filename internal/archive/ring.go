package archive

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// ring is a fixed amount of memory from which contiguous spans are taken in order, and given back
// in any order. A chunk is read into its span, cut, hashed and compressed (or decompressed and
// written out) where it lies, so that no stage copies it.
//
// The memory is mapped outside the Go heap for two reasons: the garbage collector lets the heap
// grow to twice what is live, which would double the one large thing in the process; and its size is
// the bound, not an estimate. Pages count only once touched.
//
// One goroutine takes spans; any may release them.
type ring struct {
	memory []byte
	freed  chan struct{} // holds a token when a span was released since the taker looked

	mu    sync.Mutex
	spans []*span // in use, the oldest first
	next  int     // where the next span begins
}

// span is a piece of a ring.
type span struct {
	ring     *ring
	start    int
	size     int
	released bool
}

// newRing maps size bytes.
func newRing(size int) (*ring, error) {
	memory, err := mapMemory(size)
	if err != nil {
		return nil, err
	}
	return &ring{memory: memory, freed: make(chan struct{}, 1)}, nil
}

// close unmaps the memory. No span may be in use.
func (r *ring) close() { unmapMemory(r.memory) }

// take waits for size contiguous bytes; size is at most the ring's. A span taken after the last one
// was shrunk begins where that ends, unless too little room is left before the end of the memory.
// Errors: that of ctx.
func (r *ring) take(ctx context.Context, size int) (*span, error) {
	for {
		if s := r.tryTake(size); s != nil {
			return s, nil
		}
		select {
		case <-r.freed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (r *ring) tryTake(size int) *span {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.place(size)
	if !ok {
		return nil
	}
	s := &span{ring: r, start: at, size: size}
	r.spans = append(r.spans, s)
	r.next = at + size
	return s
}

// place finds room behind the last span, or from the start of the memory. Spans that are in use
// never meet next unless the ring is full.
func (r *ring) place(size int) (at int, ok bool) {
	fits := r.next+size <= len(r.memory)
	if len(r.spans) == 0 {
		if !fits {
			return 0, size <= len(r.memory)
		}
		return r.next, true
	}
	switch oldest := r.spans[0].start; {
	case r.next <= oldest: // the spans in use go round the end
		return r.next, r.next+size <= oldest
	case fits:
		return r.next, true
	default:
		return 0, size <= oldest
	}
}

// bytes is the span's memory.
func (s *span) bytes() []byte { return s.ring.memory[s.start : s.start+s.size : s.start+s.size] }

// shrink gives the end of the span that was taken last back.
func (s *span) shrink(size int) {
	s.ring.mu.Lock()
	defer s.ring.mu.Unlock()
	s.size = size
	s.ring.next = s.start + size
}

// release gives the span back.
func (s *span) release() {
	r := s.ring
	r.mu.Lock()
	s.released = true
	gone := 0
	for gone < len(r.spans) && r.spans[gone].released {
		gone++
	}
	r.spans = append(r.spans[:0], r.spans[gone:]...)
	r.mu.Unlock()
	select {
	case r.freed <- struct{}{}:
	default: // the taker has not looked since the last one
	}
}

// mapMemory maps size bytes of zeros.
func mapMemory(size int) ([]byte, error) {
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes for chunks in flight: %w", size, err)
	}
	return memory, nil
}

// unmapMemory undoes mapMemory, which can only fail for memory that was not mapped by it.
func unmapMemory(memory []byte) {
	if err := unix.Munmap(memory); err != nil {
		panic(err)
	}
}
