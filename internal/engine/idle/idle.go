// Package idle ends a dump that moves nothing, for engines that copy by themselves; package process does it for
// those with a client tool.
package idle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// Watch ends a context when nothing moved for too long.
type Watch struct {
	limit  time.Duration
	timer  *time.Timer // nil: without a limit
	cancel context.CancelCauseFunc
}

// Start returns a context that ends, with failure.Timeout as its cause, limit after the last call of
// Moved; 0 is never. Stop must be called. op and hint are the error's.
func Start(ctx context.Context, limit time.Duration, op, hint string) (context.Context, *Watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &Watch{limit: limit, cancel: cancel}
	if limit > 0 {
		w.timer = time.AfterFunc(limit, func() {
			cancel(failure.New(failure.Timeout, op, fmt.Sprintf("no byte moved for %s", limit), hint))
		})
	}
	return ctx, w
}

// Moved says that something did.
func (w *Watch) Moved() {
	if w.timer != nil {
		w.timer.Reset(w.limit)
	}
}

// Pause stops the clock during work that has nothing to show, until Resume.
func (w *Watch) Pause() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// Resume starts the clock again.
func (w *Watch) Resume() { w.Moved() }

// Stop ends the watch and its context.
func (w *Watch) Stop() {
	w.Pause()
	w.cancel(nil)
}

// Cause is why work under ctx really failed: what was interrupted has no class of its own.
func Cause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		return cause
	}
	return err
}

// Run calls do. When ctx ended because nothing moved, and do does not return within grace, it is given up: a file
// system that does not answer keeps whoever reads from it, and no signal ends that. do goes on alone then.
func Run(ctx context.Context, grace time.Duration, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return Cause(ctx, err)
	case <-ctx.Done():
	}
	var idle *failure.Error
	if cause := context.Cause(ctx); errors.As(cause, &idle) && idle.Class == failure.Timeout {
		select {
		case err := <-done:
			return Cause(ctx, err)
		case <-time.After(grace):
			return cause
		}
	}
	return Cause(ctx, <-done)
}
