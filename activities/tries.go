package activities

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Temporal counts an attempt whenever an activity is handed to a worker, also when a worker that was
// asked to stop handed it back. That is no try that failed: a day's dump must survive any number of
// deploys. So each heartbeat carries, behind the state, how often the activity was handed back, and
// the policies of long steps (contract.Handovers) leave the counting of tries to the activity.

// handover is what an attempt knows of those before it.
type handover struct {
	before int32 // how often the activity was handed back
	mu     sync.Mutex
	last   any // state of the last heartbeat
}

type handoverKey struct{}

// withHandover reads how often the activity was handed back, for beat to pass on.
func withHandover(ctx context.Context) context.Context {
	h := &handover{last: struct{}{}}
	state, times := lastBeat(ctx)
	h.before = times
	if state != nil {
		h.last = state
	}
	return context.WithValue(ctx, handoverKey{}, h)
}

// lastBeat is what the attempt before sent last: its state, nil for none, and how often the activity was handed back.
func lastBeat(ctx context.Context) (state any, times int32) {
	if !activity.HasHeartbeatDetails(ctx) || activity.GetHeartbeatDetails(ctx, &state, &times) != nil {
		return nil, 0
	}
	return state, times
}

// beat sends a heartbeat with a state that the next attempt gets back. It does so also when ctx has
// ended: a cancelled step that still waits for its child processes is not a lost one.
func beat(ctx context.Context, state any) {
	h, known := ctx.Value(handoverKey{}).(*handover)
	if !known {
		activity.RecordHeartbeat(context.WithoutCancel(ctx), state)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = state
	h.send(ctx)
}

func (h *handover) send(ctx context.Context) {
	times := h.before
	if errors.Is(context.Cause(ctx), errWorkerStopping) {
		times++
	}
	activity.RecordHeartbeat(context.WithoutCancel(ctx), h.last, times)
}

// handBack tells that this attempt is handed back. The SDK sends the last heartbeat before it reports
// the failure, however short the time since the one before.
func handBack(ctx context.Context) {
	if h, known := ctx.Value(handoverKey{}).(*handover); known {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.send(ctx)
	}
}

// tries is the how manieth try this attempt is, from 1. Workers that were lost without a word count.
func tries(ctx context.Context) int32 {
	_, times := lastBeat(ctx)
	return max(activity.GetInfo(ctx).Attempt-times, 1)
}

// triesAllowed is how often the activity is tried, 0 for what Temporal counts by itself.
func triesAllowed(ctx context.Context) int32 {
	if policy := activity.GetInfo(ctx).RetryPolicy; policy != nil && policy.MaximumAttempts > contract.Handovers {
		return policy.MaximumAttempts - contract.Handovers
	}
	return 0
}

// lastOne reports whether no try follows this one when it fails.
func lastOne(ctx context.Context) bool {
	most := triesAllowed(ctx)
	return most > 0 && tries(ctx) >= most
}

// lostTooOften is the cause with which an attempt ends before it begins: every try before was lost
// together with its worker, which this very work may be the reason for.
type lostTooOften struct{ tries int32 }

func (l lostTooOften) Error() string {
	return fmt.Sprintf("%d workers were lost while they did this, or broke off without a word", l.tries)
}

func (l lostTooOften) toTemporal() error {
	return temporal.NewApplicationErrorWithOptions(l.Error(), string(failure.Timeout), temporal.ApplicationErrorOptions{
		NonRetryable: true,
		Details:      []any{"Look at the workers' logs and at the memory they have: something ends them.", failure.Side("")},
	})
}
