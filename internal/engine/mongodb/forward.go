package mongodb

import (
	"context"
	"io"
	"net"
	"sync"

	"github.com/dataguardian/dataguardian/internal/engine"
)

// forwarder connects every connection to its listener with the server, protected as the datasource says.
type forwarder struct {
	listener net.Listener
	src      engine.Source
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

func newForwarder(ctx context.Context, src engine.Source, listener net.Listener) *forwarder {
	f := &forwarder{listener: listener, src: src}
	ctx, f.cancel = context.WithCancel(ctx)
	f.running.Go(func() { f.accept(ctx) })
	return f
}

// close ends every connection and waits for that.
func (f *forwarder) close() {
	f.cancel()
	_ = f.listener.Close()
	f.running.Wait()
}

func (f *forwarder) accept(ctx context.Context) {
	for {
		near, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.running.Go(func() { f.serve(ctx, near) })
	}
}

func (f *forwarder) serve(ctx context.Context, near net.Conn) {
	defer near.Close()
	far, err := dial(ctx, f.src)
	if err != nil {
		return // the tool sees its connection end, and tries again until its own time is up
	}
	defer far.Close()
	stop := context.AfterFunc(ctx, func() { _, _ = near.Close(), far.Close() })
	defer stop()
	var answers sync.WaitGroup
	answers.Go(func() {
		_, _ = io.Copy(near, far)
		_ = near.Close()
	})
	_, _ = io.Copy(far, near)
	_ = far.Close()
	answers.Wait()
}
