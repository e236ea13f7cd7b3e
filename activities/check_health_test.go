package activities

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// There are more servers that do not answer than a run has time for: it begins none of the rest, says how many those are, and ends
// well, so that what it has recorded counts.
func TestAHealthCheckEndsInTimeAndSaysWhatIsLeft(t *testing.T) {
	var probed atomic.Int64
	enough := time.Now().Add(100 * time.Millisecond)
	var due []dueCheck
	for range 3 * parallelProbes {
		due = append(due, dueCheck{probe: func(context.Context) error {
			time.Sleep(time.Until(enough.Add(20 * time.Millisecond)))
			probed.Add(1)
			return nil
		}})
	}
	left, err := probeUntil(t.Context(), due, enough)
	require.NoError(t, err)
	require.Equal(t, int64(len(due)), int64(left)+probed.Load())
	require.GreaterOrEqual(t, left, 2*parallelProbes-1)
	require.LessOrEqual(t, left, 2*parallelProbes, "so many were probed at the same time, and none waited for another")

	left, err = probeUntil(t.Context(), due[:2], time.Now().Add(time.Minute))
	require.NoError(t, err)
	require.Zero(t, left)
}
