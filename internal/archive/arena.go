package archive

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// segmentSize is the unit in which chunk memory is handed out.
const segmentSize = 128 * kib

// arena is a fixed amount of memory for the objects in flight, handed out in segments: how long an
// object becomes is known only when it is made. It is outside the Go heap for the reasons of ring,
// and a fixed number of equal pieces can not fragment.
type arena struct {
	memory []byte

	mu   sync.Mutex
	free [][]byte // last in, first out: warm pages first
}

// newArena maps room for at least size bytes of segments.
func newArena(size int) (*arena, error) {
	count := segments(size)
	memory, err := mapMemory(count * segmentSize)
	if err != nil {
		return nil, err
	}
	a := &arena{memory: memory, free: make([][]byte, 0, count)}
	for i := count - 1; i >= 0; i-- {
		a.free = append(a.free, memory[i*segmentSize:(i+1)*segmentSize:(i+1)*segmentSize])
	}
	return a, nil
}

// close unmaps the memory. No buffer may be in use.
func (a *arena) close() { unmapMemory(a.memory) }

// segments is how many segments size bytes take.
func segments(size int) int { return (size + segmentSize - 1) / segmentSize }

// errArena says that a buffer grew beyond what was reserved for it.
var errArena = errors.New("chunk needs more memory than was reserved for it")

func (a *arena) take() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.free) == 0 {
		return nil, errArena
	}
	segment := a.free[len(a.free)-1]
	a.free = a.free[:len(a.free)-1]
	return segment, nil
}

func (a *arena) give(segments [][]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.free = append(a.free, segments...)
}

// buffer is a growing list of segments. It is written first, then read; it is not for concurrent use.
type buffer struct {
	arena *arena
	list  [][]byte
	size  int
	limit int // bytes it may hold, 0 for no limit but the arena
}

// errTooLong says that more was written to a buffer than its limit.
var errTooLong = errors.New("longer than announced")

// Write appends p.
func (b *buffer) Write(p []byte) (int, error) {
	if b.limit > 0 && b.size+len(p) > b.limit {
		return 0, errTooLong
	}
	written := 0
	for len(p) > 0 {
		used := b.size % segmentSize
		if used == 0 {
			segment, err := b.arena.take()
			if err != nil {
				return written, err
			}
			b.list = append(b.list, segment)
		}
		n := copy(b.list[len(b.list)-1][used:], p)
		p, b.size, written = p[n:], b.size+n, written+n
	}
	return written, nil
}

// release gives the segments back and empties the buffer.
func (b *buffer) release() {
	b.arena.give(b.list)
	b.list, b.size = nil, 0
}

// body reads a buffer as the body of a Put. A client may still read a body after Put returned (an
// HTTP transport does), so close waits for a read in progress and fails every later one: segments
// that are released after it can not be sent as somebody else's chunk.
type body struct {
	mu     sync.Mutex
	buffer *buffer // nil once closed
	offset int
}

var errBodyClosed = errors.New("the chunk's upload is over")

// Read copies from the segments.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buffer == nil {
		return 0, errBodyClosed
	}
	total := 0
	for total < len(p) && b.offset < b.buffer.size {
		segment := b.buffer.list[b.offset/segmentSize]
		end := min(segmentSize, b.buffer.size-b.offset/segmentSize*segmentSize)
		n := copy(p[total:], segment[b.offset%segmentSize:end])
		total, b.offset = total+n, b.offset+n
	}
	if total == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return total, nil
}

// Seek makes the upload repeatable.
func (b *body) Seek(offset int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buffer == nil {
		return 0, errBodyClosed
	}
	switch whence {
	case io.SeekCurrent:
		offset += int64(b.offset)
	case io.SeekEnd:
		offset += int64(b.buffer.size)
	}
	if offset < 0 || offset > int64(b.buffer.size) {
		return 0, fmt.Errorf("seek to %d in a body of %d bytes", offset, b.buffer.size)
	}
	b.offset = int(offset)
	return offset, nil
}

func (b *body) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buffer = nil
}
