package idle_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/idle"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestWorkThatMovesNothingEndsAndOtherWorkDoesNot(t *testing.T) {
	ctx, watch := idle.Start(t.Context(), 200*time.Millisecond, "read", "look at it")
	defer watch.Stop()
	for range 8 {
		time.Sleep(50 * time.Millisecond) // what moves is slow
		watch.Moved()
	}
	require.NoError(t, ctx.Err())
	watch.Pause()
	time.Sleep(300 * time.Millisecond) // longer than the limit
	require.NoError(t, ctx.Err())
	watch.Resume()
	err := idle.Run(ctx, time.Minute, func() error { <-ctx.Done(); return errors.New("interrupted") })
	enginetest.RequireClass(t, failure.Timeout, err)
	require.Equal(t, "look at it", failure.HintOf(err))
}

func TestWorkThatCanNotBeInterruptedIsGivenUpOnlyWhenIdle(t *testing.T) {
	hangs := make(chan struct{})
	stuck := func() error { <-hangs; return nil }
	ctx, watch := idle.Start(t.Context(), time.Millisecond, "read", "")
	defer watch.Stop()
	enginetest.RequireClass(t, failure.Timeout, idle.Run(ctx, time.Millisecond, stuck))

	parent, cancel := context.WithCancel(t.Context())
	ctx, watch = idle.Start(parent, time.Minute, "read", "")
	defer watch.Stop()
	cancel()
	time.AfterFunc(50*time.Millisecond, func() { close(hangs) })
	require.NoError(t, idle.Run(ctx, time.Millisecond, stuck), "one that was cancelled is waited for")
}
