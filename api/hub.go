package api

import (
	"context"
	"log/slog"
	"sync"
)

// hub hands changes of executions to the clients that watch them. It listens to the database over
// one connection while anybody watches, and not at all otherwise.
type hub struct {
	listen func(context.Context) (<-chan string, error)
	log    *slog.Logger

	mu       sync.Mutex
	watchers map[string]map[chan struct{}]struct{} // by execution id
	stop     context.CancelFunc
}

func newHub(listen func(context.Context) (<-chan string, error), log *slog.Logger) *hub {
	return &hub{listen: listen, log: log, watchers: make(map[string]map[chan struct{}]struct{})}
}

// watch gives a channel that has a value whenever the execution may have changed since the last
// one was taken. release must be called. Changes between watch and the first read are not lost.
func (h *hub) watch(id string) (changes <-chan struct{}, release func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.watchers) == 0 {
		if err := h.begin(); err != nil {
			return nil, nil, err
		}
	}
	signal := make(chan struct{}, 1)
	if h.watchers[id] == nil {
		h.watchers[id] = make(map[chan struct{}]struct{})
	}
	h.watchers[id][signal] = struct{}{}
	return signal, sync.OnceFunc(func() { h.leave(id, signal) }), nil
}

func (h *hub) begin() error {
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
	if len(h.watchers) == 0 && h.stop != nil {
		h.stop()
		h.stop = nil
	}
}
