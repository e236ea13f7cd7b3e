package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// idleWatch ends a context when nothing moved for too long.
type idleWatch struct {
	limit  time.Duration
	timer  *time.Timer // nil: without a limit
	cancel context.CancelCauseFunc
}

// watchIdle returns a context that ends, with failure.Timeout as its cause, limit after the last call of
// moved; 0 is never. stop must be called.
func watchIdle(ctx context.Context, limit time.Duration) (context.Context, *idleWatch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &idleWatch{limit: limit, cancel: cancel}
	if limit > 0 {
		w.timer = time.AfterFunc(limit, func() {
			cancel(failure.New(failure.Timeout, "copy the database", fmt.Sprintf("no byte moved for %s", limit),
				"Look for who keeps the database locked, or whether the storage location hangs; idle_timeout_minutes may be raised."))
		})
	}
	return ctx, w
}

func (w *idleWatch) moved() {
	if w.timer != nil {
		w.timer.Reset(w.limit)
	}
}

func (w *idleWatch) pause() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (w *idleWatch) resume() { w.moved() }

func (w *idleWatch) stop() {
	w.pause()
	w.cancel(nil)
}
