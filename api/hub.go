package api

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
)

// maxWide is how many ids wait for a client that watches all executions.
const maxWide = 1000

// hub hands changes of executions to the clients that watch them. It listens to the database over
// one connection while anybody watches, and not at all otherwise.
type hub struct {
	listen func(context.Context) (<-chan string, error)
	log    *slog.Logger

	mu       sync.Mutex
	watchers map[string]map[chan struct{}]struct{} // by execution id
	wide     map[*wideWatch]struct{}               // of all executions
	stop     context.CancelFunc
}

func newHub(listen func(context.Context) (<-chan string, error), log *slog.Logger) *hub {
	return &hub{listen: listen, log: log, watchers: make(map[string]map[chan struct{}]struct{}), wide: make(map[*wideWatch]struct{})}
}

// watch gives a channel that has a value whenever the execution may have changed since the last
// one was taken. release must be called. Changes between watch and the first read are not lost.
func (h *hub) watch(id string) (changes <-chan struct{}, release func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.begin(); err != nil {
		return nil, nil, err
	}
	signal := make(chan struct{}, 1)
	if h.watchers[id] == nil {
		h.watchers[id] = make(map[chan struct{}]struct{})
	}
	h.watchers[id][signal] = struct{}{}
	return signal, sync.OnceFunc(func() { h.leave(id, signal) }), nil
}

// wideWatch collects the ids of executions that changed, for a client that watches all of them. A slow
// one finds each id once, however often it changed.
type wideWatch struct {
	mu      sync.Mutex
	changed map[string]struct{}
	lost    bool          // changes may have been missed
	signal  chan struct{} // has a value when there is something to take
}

// take gives the ids that changed since the last take; lost says that others may have changed too.
func (w *wideWatch) take() (ids []string, lost bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids, lost = slices.Sorted(maps.Keys(w.changed)), w.lost
	clear(w.changed)
	w.lost = false
	return ids, lost
}

// add notes an id, "" for changes that were missed. More ids than maxWide are as good as missed.
func (w *wideWatch) add(id string) {
	w.mu.Lock()
	switch {
	case id == "" || len(w.changed) >= maxWide:
		w.lost = true
	default:
		w.changed[id] = struct{}{}
	}
	w.mu.Unlock()
	wake(map[chan struct{}]struct{}{w.signal: {}})
}

// watchAll is watch for all executions.
func (h *hub) watchAll() (*wideWatch, func(), error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.begin(); err != nil {
		return nil, nil, err
	}
	w := &wideWatch{changed: make(map[string]struct{}), signal: make(chan struct{}, 1)}
	h.wide[w] = struct{}{}
	return w, sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.wide, w)
		h.rest()
	}), nil
}

// begin listens, unless somebody watches already.
func (h *hub) begin() error {
	if h.stop != nil {
		return nil
	}
	ctx, stop := context.WithCancel(context.Background())
	ids, err := h.listen(ctx)
	if err != nil {
		stop()
		return err
	}
	h.stop = stop
	go func() {
		for id := range ids {
			h.tell(id)
		}
		h.log.Debug("stopped listening for executions")
	}()
	return nil
}

func (h *hub) tell(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.wide {
		w.add(id)
	}
	if id != "" {
		wake(h.watchers[id])
		return
	}
	for _, signals := range h.watchers { // the listener was away: anything may have changed
		wake(signals)
	}
}

func wake(signals map[chan struct{}]struct{}) {
	for signal := range signals {
		select {
		case signal <- struct{}{}:
		default: // one is waiting already, and its reader will see this change too
		}
	}
}

func (h *hub) leave(id string, signal chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers[id], signal)
	if len(h.watchers[id]) == 0 {
		delete(h.watchers, id)
	}
	h.rest()
}

// rest stops listening when nobody watches any more.
func (h *hub) rest() {
	if len(h.watchers) == 0 && len(h.wide) == 0 && h.stop != nil {
		h.stop()
		h.stop = nil
	}
}
