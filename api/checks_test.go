package api

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
)

// endsEarly is a run whose call Temporal's server ends a moment before the deadline passes here.
type endsEarly struct {
	client.WorkflowRun
	before time.Duration
	with   error
}

func (r endsEarly) Get(ctx context.Context, _ any) error {
	deadline, _ := ctx.Deadline()
	time.Sleep(time.Until(deadline) - r.before)
	return r.with
}

func TestAWaitThatTemporalEndsAMomentEarlyIsATimeout(t *testing.T) {
	for _, err := range []error{
		serviceerror.NewDeadlineExceeded("context deadline exceeded"),
		serviceerror.NewCanceled("stream terminated by RST_STREAM with error code: CANCEL"),
	} {
		got := getWithin(t.Context(), endsEarly{before: 20 * time.Millisecond, with: err}, 50*time.Millisecond, nil)
		require.ErrorIs(t, got, context.DeadlineExceeded, "%v", err)
		require.True(t, isTimeout(got))
	}
	refused := errors.New("refused")
	got := getWithin(t.Context(), endsEarly{before: time.Minute, with: refused}, time.Minute, nil)
	require.Equal(t, refused, got, "long before the deadline it is what it is")
}
