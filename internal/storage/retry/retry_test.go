package retry_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
	"github.com/dataguardian/dataguardian/internal/storage/memory"
	"github.com/dataguardian/dataguardian/internal/storage/retry"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

var quick = retry.Options{Retries: 3, FirstDelay: time.Microsecond}

func TestRetryKeepsTheContract(t *testing.T) {
	storagetest.Run(t, storagetest.Config{
		Open: func(*testing.T) storage.Store { return retry.New(memory.New(0), quick) },
		OpenWithQuota: func(_ *testing.T, maxBytes int64) storage.Store {
			return retry.New(memory.New(maxBytes), quick)
		},
		Is: func(s storage.Store) bool { _, ok := s.(*retry.Store); return ok },
		OpenBroken: func(*testing.T) storagetest.Broken {
			inner := faulty.New(memory.New(0))
			return storagetest.Broken{Store: retry.New(inner, quick), Cut: inner.Cut, Restore: inner.Clear}
		},
		OpenReadOnly: func(t *testing.T, objects map[string]string) storage.Store {
			inner := faulty.New(memory.New(0))
			for key, content := range objects {
				require.NoError(t, inner.Put(t.Context(), key, strings.NewReader(content), int64(len(content))))
			}
			inner.InjectAll(failure.New(failure.AuthFailed, "write", "access denied", "Give the user the right to write."),
				faulty.Put, faulty.Copy, faulty.Delete)
			return retry.New(inner, quick)
		},
		Without: map[storagetest.Check]string{storagetest.Full: "memory has no device; its limit is the quota"},
	})
}

func TestOnlyWhatMayPassIsTriedAgain(t *testing.T) {
	passing := failure.New(failure.Unreachable, "call", "no route", "")
	permanent := failure.New(failure.AuthFailed, "call", "no", "")
	seekable := func() io.Reader { return strings.NewReader("body") }
	onlyOnce := func() io.Reader { return struct{ io.Reader }{strings.NewReader("body")} }
	cases := map[string]struct {
		err   error
		times int
		body  func() io.Reader
		calls int
		ok    bool
	}{
		"a passing error goes away":               {passing, 2, seekable, 3, true},
		"a passing error stays":                   {passing, 0, seekable, 4, false},
		"an unclassified error counts as passing": {errors.New("odd"), 1, seekable, 2, true},
		"a permanent error":                       {permanent, 1, seekable, 1, false},
		"a body that can not be read again":       {passing, 1, onlyOnce, 1, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inner := faulty.New(memory.New(0))
			inner.Inject(faulty.Fault{Op: faulty.Put, Times: c.times, Err: c.err})
			err := retry.New(inner, quick).Put(context.Background(), "k", c.body(), 4)
			require.Equal(t, c.calls, inner.Calls(faulty.Put))
			if c.ok {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, c.err)
			}
		})
	}
}

func TestAListingThatBeganIsNotRepeated(t *testing.T) {
	inner := faulty.New(memory.New(0))
	s, ctx, seen := retry.New(inner, quick), context.Background(), 0
	require.NoError(t, s.Put(ctx, "k", strings.NewReader("x"), 1))
	stop := errors.New("stop")
	count := func(storage.Object) error { seen++; return stop }
	inner.Inject(faulty.Fault{Op: faulty.List, Times: 1, Err: errors.New("odd")})
	require.Equal(t, stop, s.List(ctx, "", count), "the callback's error comes back as it is")
	require.Equal(t, 1, seen)
	require.Equal(t, 2, inner.Calls(faulty.List))
}

func TestSyncIsNotRepeated(t *testing.T) {
	inner := faulty.New(memory.New(0))
	inner.Inject(faulty.Fault{Op: faulty.Sync, Times: 1, Err: errors.New("write-back failed")})
	require.Error(t, retry.New(inner, quick).Sync(context.Background()))
	require.Equal(t, 1, inner.Calls(faulty.Sync))
}
