package workflows

import (
	"sync/atomic"
	"time"
)

// Patience is how long workflows wait for workers where no plan says so. It changes no decision, only when one is made, so
// histories replay whatever it is.
type Patience struct {
	Silence  time.Duration // of a worker, until it counts as lost
	NoWorker time.Duration // for a worker of a pool to take a health check, until the pool counts as served by nobody
}

var patience atomic.Pointer[Patience]

// SetPatience is for tests that lose workers on purpose, before any workflow runs.
func SetPatience(p Patience) { patience.Store(&p) }

// waits is the patience that is set, or the product's.
func waits() Patience {
	if p := patience.Load(); p != nil {
		return *p
	}
	return Patience{Silence: heartbeatTimeout, NoWorker: noWorkerAfter}
}
