package limit

import (
	"container/list"
	"context"
	"sync"
)

// gate lets a number of holders in at the same time, in the order in which they came. Unlike a
// semaphore its size can change while it is used.
type gate struct {
	users int // stores that use it; Writes' mutex guards it

	mu      sync.Mutex
	limit   int
	inside  int
	waiting list.List // of chan struct{}, which is closed when its holder is let in
}

// resize lets more in at once, or waits for some to leave.
func (g *gate) resize(limit int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit = limit
	g.admit()
}

// enter waits for a place. Errors: that of ctx, and then nobody is inside for it.
func (g *gate) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	turn := make(chan struct{})
	place := g.waiting.PushBack(turn)
	g.admit()
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-turn: // let in at the same moment
		g.inside--
		g.admit()
	default:
		g.waiting.Remove(place)
	}
	return ctx.Err()
}

func (g *gate) exit() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.admit()
}

// admit lets in whom there is a place for. The caller holds mu.
func (g *gate) admit() {
	for g.inside < g.limit && g.waiting.Len() > 0 {
		turn, _ := g.waiting.Remove(g.waiting.Front()).(chan struct{})
		close(turn)
		g.inside++
	}
}
