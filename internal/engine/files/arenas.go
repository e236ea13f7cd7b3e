package files

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// arenas are the memory that packs are read into. It is mapped outside the Go heap, which may grow to twice
// what is live in it.
type arenas struct {
	free chan []byte
	all  [][]byte
}

// arenaBytes holds a pack: it is full at packBytes, and the last file may be as long as a large one. What is
// longer, because a file grew, moves to the heap by itself.
const arenaBytes = packBytes + largeBytes + 256<<10

func newArenas(count int) (*arenas, error) {
	a := &arenas{free: make(chan []byte, count)}
	for range count {
		memory, err := unix.Mmap(-1, 0, arenaBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			a.close()
			return nil, fmt.Errorf("map memory for packs: %w", err)
		}
		a.all = append(a.all, memory)
		a.free <- memory
	}
	return a, nil
}

// take waits for memory. Errors: that of ctx.
func (a *arenas) take(ctx context.Context) ([]byte, error) {
	select {
	case memory := <-a.free:
		return memory, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *arenas) give(memory []byte) { a.free <- memory }

// close unmaps everything. Nobody uses it any more.
func (a *arenas) close() {
	for _, memory := range a.all {
		_ = unix.Munmap(memory) // it was mapped
	}
}
