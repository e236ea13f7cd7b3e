package activities

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// reporter tells how far a long activity is: to Temporal as heartbeats, which also bring the news
// of a cancellation, and to Postgres, which the API reads.
type reporter struct {
	a           *Activities
	executionID string
	measure     func() domain.Progress
	last        domain.Progress
	lastAt      time.Time
	rate        float64
}

// report starts telling what measure says until the returned function is called, which tells a
// last time. It goes on after ctx ended: a cancelled step that still waits for its child processes
// to end is not a lost one. measure is called from another goroutine.
func (a *Activities) report(ctx context.Context, executionID string, measure func() domain.Progress) (stop func()) {
	r := &reporter{a: a, executionID: executionID, measure: measure, lastAt: time.Now()}
	r.tell(ctx)
	ticker := time.NewTicker(a.Tuning.ProgressEvery)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				r.tell(ctx)
			case <-quit:
				r.tell(ctx)
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

func (r *reporter) tell(ctx context.Context) {
	p := r.measure()
	now := time.Now()
	if elapsed := now.Sub(r.lastAt).Seconds(); elapsed > 0 && p.Bytes >= r.last.Bytes {
		// A moving average over about five reports keeps the figure readable.
		r.rate += (float64(p.Bytes-r.last.Bytes)/elapsed - r.rate) / 5
	}
	p.Rate = r.rate
	if p.Total > p.Bytes && r.rate > 1 {
		p.ETA = int64(float64(p.Total-p.Bytes) / r.rate)
	}
	r.last, r.lastAt = p, now
	beat(ctx, p)
	if ctx.Err() != nil {
		return
	}
	// Progress is for people: losing one report is no reason to lose the work, and a slow
	// database must not keep the heartbeat from going out.
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := r.a.DB.UpdateProgress(ctx, r.executionID, p); err != nil && ctx.Err() == nil {
		r.a.Logger.Warn("progress was not recorded", "execution", r.executionID, "error", err)
	}
}
