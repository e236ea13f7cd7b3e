package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/problem"
)

const (
	defaultRequestTimeout = 30 * time.Second
	// applyTimeout is for a document, which may hold thousands of jobs with their schedules.
	applyTimeout = 5 * time.Minute
)

// errTooSlow is why the context of a request ends that took too long.
var errTooSlow = errors.New("the answer was not ready in time")

// underWay is a request whose time runs.
type underWay struct {
	timer *time.Timer
	limit time.Duration
	// bodyArrived lifts the deadline of the body: on a connection whose reads time out net/http takes the client for gone.
	bodyArrived func()
}

type underWayKey struct{}

// timeLimit is how long an operation may take to answer, or to begin a stream. One that waits for a worker waits for two
// tests at most; so may the creation of an SSH location, whose server's key a worker looks up.
func (s *server) timeLimit(op huma.Operation) time.Duration {
	switch {
	case op.OperationID == "apply-config":
		return applyTimeout
	case slices.Contains(op.Errors, http.StatusGatewayTimeout), op.OperationID == "create-storage-location":
		return s.opts.RequestTimeout + 2*(startTimeout+s.opts.TestTimeout)
	}
	return s.opts.RequestTimeout
}

// limitTime ends the context of a request that takes too long: a slow query would hold a connection for as long as it likes.
func limitTime(limit time.Duration) func(huma.Context, func(huma.Context)) {
	return func(c huma.Context, next func(huma.Context)) {
		ctx, end := context.WithCancelCause(c.Context())
		defer end(nil)
		timer := time.AfterFunc(limit, func() { end(errTooSlow) })
		defer timer.Stop()
		r := &underWay{timer: timer, limit: limit, bodyArrived: func() {
			_ = c.SetReadDeadline(time.Time{}) // a writer that knows no deadlines (tests) has none
		}}
		next(huma.WithContext(c, context.WithValue(ctx, underWayKey{}, r)))
	}
}

// underWayOf is the request of ctx; it does nothing outside of one.
func underWayOf(ctx context.Context) *underWay {
	if r, ok := ctx.Value(underWayKey{}).(*underWay); ok {
		return r
	}
	return &underWay{timer: time.NewTimer(0), bodyArrived: func() {}}
}

// streams reports whether an answer goes on for as long as its client reads it: only its beginning is in a hurry.
func streams[O any]() bool {
	var output *O
	_, is := any(output).(*huma.StreamResponse)
	return is
}

// tooSlow is the answer to a request whose time is over, nil while it is not.
func tooSlow(ctx context.Context) *problem.Problem {
	if !errors.Is(context.Cause(ctx), errTooSlow) {
		return nil
	}
	return problem.New(http.StatusServiceUnavailable, fmt.Sprintf(
		"The answer was not ready within %s, so the request was given up. See whether a change was made before you repeat it; ask for less where you asked for much.", underWayOf(ctx).limit))
}
