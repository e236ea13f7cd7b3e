package limit

import (
	"context"
	"io"
	"sync"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// Writes shares out the writes to storage locations among all who write to them in this process. The
// zero value is ready.
type Writes struct {
	mu    sync.Mutex
	gates map[string]*gate
}

// Store decorates inner, a store of the location with the given id: of all stores that were made so
// for one id, no more than limit write at the same time. Where they were given different limits, as
// after a change of the location's settings, the last one counts. Reads are not limited.
func (w *Writes) Store(inner storage.Store, location string, limit int) *Limited {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gates == nil {
		w.gates = map[string]*gate{}
	}
	g := w.gates[location]
	if g == nil {
		g = &gate{}
		w.gates[location] = g
	}
	g.users++
	g.resize(limit)
	return &Limited{Store: inner, gate: g, done: sync.OnceFunc(func() { w.leave(location, g) })}
}

func (w *Writes) leave(location string, g *gate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if g.users--; g.users == 0 {
		delete(w.gates, location)
	}
}

// Limited is a store whose Put and Copy wait for their turn.
type Limited struct {
	storage.Store
	gate *gate
	done func()
}

var _ storage.Store = (*Limited)(nil)

// Unwrap gives the store inside.
func (l *Limited) Unwrap() storage.Store { return l.Store }

// Put waits for its turn. Errors besides the store's own: that of ctx.
func (l *Limited) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	if err := l.gate.enter(ctx); err != nil {
		return err
	}
	defer l.gate.exit()
	return l.Store.Put(ctx, key, body, size)
}

// Copy waits for its turn. Errors besides the store's own: that of ctx.
func (l *Limited) Copy(ctx context.Context, from, to string) error {
	if err := l.gate.enter(ctx); err != nil {
		return err
	}
	defer l.gate.exit()
	return l.Store.Copy(ctx, from, to)
}

// Close closes the store inside.
func (l *Limited) Close() error {
	l.done()
	return l.Store.Close()
}

// DeleteMany is not limited: it is passed on, so that a service gets few requests.
func (l *Limited) DeleteMany(ctx context.Context, keys []string) error {
	return storage.DeleteMany(ctx, l.Store, keys)
}
