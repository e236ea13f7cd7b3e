package archive

import (
	"context"
	"sync"
	"time"
)

// uploads decides how many objects are uploaded at the same time. A store with latency (S3, SSH far
// away) takes more bytes a second from more uploads at once; a disk that is busy does not, and more
// would only cost seeks and memory. So the number starts low and climbs by itself (hill climbing):
// while chunks wait for a slot it is raised by half, which is kept if it brought a tenth more
// throughput, and taken back if not, after which it rests for a while.
type uploads struct {
	slots chan struct{}    // one token a slot that is free
	now   func() time.Time // time.Now, but for tests

	mu      sync.Mutex
	limit   int // slots
	most    int // that limit may become
	debt    int // slots to take back when they are given back
	waiting int // chunks that wait for a slot now

	// The window in which throughput is measured.
	began  time.Time
	count  int
	bytes  int64
	waited bool // a chunk began to wait in it

	raisedFrom int     // limit before the raise that is on trial, 0 if none is
	before     float64 // bytes a second then
	rest       int     // windows before the next raise
}

const (
	uploadsPerSlot = 4  // uploads for each slot make a window
	uploadsRest    = 8  // windows after a raise that did not help
	mostUploads    = 16 // unless WriterOptions.Uploads is more
)

func newUploads(first int, now func() time.Time) *uploads {
	most := max(first, mostUploads)
	u := &uploads{slots: make(chan struct{}, most), now: now, limit: first, most: most, began: now()}
	for range first {
		u.slots <- struct{}{}
	}
	return u
}

// acquire waits for a slot. Errors: that of ctx.
func (u *uploads) acquire(ctx context.Context) error {
	select {
	case <-u.slots:
		return nil
	default:
	}
	u.wait(1)
	defer u.wait(-1)
	select {
	case <-u.slots:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (u *uploads) wait(change int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.waiting += change
	u.waited = true
}

// release gives a slot back after so many bytes were uploaded.
func (u *uploads) release(bytes int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count, u.bytes = u.count+1, u.bytes+bytes
	if u.count >= uploadsPerSlot*u.limit {
		u.adjust()
	}
	if u.debt > 0 {
		u.debt--
		return
	}
	u.slots <- struct{}{}
}

// adjust ends a window. The caller holds mu.
func (u *uploads) adjust() {
	now := u.now()
	rate := float64(u.bytes) / max(now.Sub(u.began), time.Microsecond).Seconds()
	waited := u.waited || u.waiting > 0
	u.began, u.count, u.bytes, u.waited = now, 0, 0, false
	if u.raisedFrom > 0 && rate < 1.1*u.before {
		u.set(u.raisedFrom)
		u.raisedFrom, u.rest = 0, uploadsRest
		return
	}
	u.raisedFrom = 0
	switch {
	case u.rest > 0:
		u.rest--
	case waited && u.limit < u.most:
		u.raisedFrom, u.before = u.limit, rate
		u.set(min(u.most, u.limit+max(1, u.limit/2)))
	}
}

// set changes the number of slots. The caller holds mu, and a slot that it gives back afterwards.
func (u *uploads) set(limit int) {
	change := limit - u.limit
	u.limit = limit
	for ; change > 0; change-- {
		if u.debt > 0 {
			u.debt--
		} else {
			u.slots <- struct{}{}
		}
	}
	u.debt -= change
}
