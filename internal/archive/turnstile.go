package archive

import (
	"context"
	"runtime"
)

// turnstile lets so many goroutines through at the same time as it has room for.
type turnstile chan struct{}

// decoding is one place for each processor. While libzstd works the Go scheduler lets other goroutines run in its
// place, so without it as many chunks would be decoded at the same time as there are openers of all
// readers: they only take the processors' caches from each other.
var decoding = make(turnstile, runtime.GOMAXPROCS(0))

// enter waits for a place. Errors: that of ctx.
func (t turnstile) enter(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turnstile) leave() { <-t }
