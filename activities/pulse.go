package activities

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
)

// pulse sends heartbeats for work that has no execution to report on. What it carries, the next try
// of the activity gets back with resume.
type pulse[T any] struct {
	mu    sync.Mutex
	state T
	quit  chan struct{}
	done  chan struct{}
}

// startPulse sends state every so often until stop is called.
func startPulse[T any](ctx context.Context, every time.Duration, state T) *pulse[T] {
	p := &pulse[T]{state: state, quit: make(chan struct{}), done: make(chan struct{})}
	ticker := time.NewTicker(every)
	go func() {
		defer close(p.done)
		defer ticker.Stop()
		for {
			p.mu.Lock()
			beat(ctx, p.state)
			p.mu.Unlock()
			select {
			case <-ticker.C:
			case <-p.quit:
				return
			}
		}
	}()
	return p
}

// set replaces what the heartbeats carry.
func (p *pulse[T]) set(state T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = state
}

func (p *pulse[T]) stop() { close(p.quit); <-p.done }

// resume fills state with what the last heartbeat of the try before carried, if there was one that
// can be read.
func resume[T any](ctx context.Context, state *T) {
	var last T
	if activity.HasHeartbeatDetails(ctx) && activity.GetHeartbeatDetails(ctx, &last) == nil {
		*state = last
	}
}
