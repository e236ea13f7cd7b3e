package retry_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
	"github.com/dataguardian/dataguardian/internal/storage/memory"
	"github.com/dataguardian/dataguardian/internal/storage/retry"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

// quick gives up after ten milliseconds.
var quick = retry.Options{FirstDelay: time.Microsecond, LongestDelay: time.Millisecond, Outage: 10 * time.Millisecond}

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
	away := failure.New(failure.Unreachable, "call", "no route", "")
	slow := failure.New(failure.Timeout, "call", "no answer", "")
	permanent := failure.New(failure.AuthFailed, "call", "no", "")
	body := func() io.Reader { return strings.NewReader("body") }
	onlyOnce := func() io.Reader { return struct{ io.Reader }{strings.NewReader("body")} }
	cases := map[string]struct {
		err   error
		times int
		body  func() io.Reader
		calls int
		ok    bool
	}{
		"a passing error goes away":               {away, 2, body, 3, true},
		"a time-out goes away":                    {slow, 6, body, 7, true},
		"an unclassified error counts as passing": {errors.New("odd"), 3, body, 4, true},
		"an unclassified error stays":             {errors.New("odd"), 0, body, 4, false},
		"a permanent error":                       {permanent, 1, body, 1, false},
		"a body that can not be read again":       {away, 1, onlyOnce, 1, false},
		"a body that ended early":                 {storage.BodyError("put", "k", 3, 4), 1, body, 1, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := faulty.New(memory.New(0))
				inner.Inject(faulty.Fault{Op: faulty.Put, Times: c.times, Err: c.err})
				err := retry.New(inner, retry.Options{}).Put(t.Context(), "k", c.body(), 4)
				require.Equal(t, c.calls, inner.Calls(faulty.Put))
				if c.ok {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, c.err)
				}
			})
		})
	}
}

func TestAServerThatIsAwayForHalfAMinuteIsWaitedFor(t *testing.T) {
	ctx := context.Background()
	for name, call := range map[string]func(storage.Store) error{
		"put":  func(s storage.Store) error { return s.Put(ctx, "new", strings.NewReader("x"), 1) },
		"stat": func(s storage.Store) error { _, err := s.Stat(ctx, "k"); return err },
		"get": func(s storage.Store) error {
			body, err := s.Get(ctx, "k", 0, -1)
			return errors.Join(err, body.Close())
		},
		"list":   func(s storage.Store) error { return s.List(ctx, "", func(storage.Object) error { return nil }) },
		"copy":   func(s storage.Store) error { return s.Copy(ctx, "k", "copy") },
		"usage":  func(s storage.Store) error { _, err := s.Usage(ctx); return err },
		"delete": func(s storage.Store) error { return s.Delete(ctx, "k") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := faulty.New(memory.New(0))
				require.NoError(t, inner.Put(ctx, "k", strings.NewReader("x"), 1))
				inner.Cut()
				time.AfterFunc(30*time.Second, inner.Clear)
				started := time.Now()
				require.NoError(t, call(retry.New(inner, retry.Options{})))
				require.Less(t, time.Since(started), 38*time.Second, "it is noticed soon that the server is back")
			})
		})
	}
}

func TestPatienceEnds(t *testing.T) {
	for name, c := range map[string]struct {
		opts    retry.Options
		outlast time.Duration
	}{
		"after the default":      {retry.Options{}, retry.DefaultOutage},
		"after what was asked":   {retry.Options{Outage: 5 * time.Minute}, 5 * time.Minute},
		"after a moment's grace": {retry.Options{Outage: time.Second}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := faulty.New(memory.New(0))
				inner.Cut()
				started := time.Now()
				_, err := retry.New(inner, c.opts).Stat(t.Context(), "k")
				require.Equal(t, failure.Unreachable, failure.ClassOf(err))
				require.Equal(t, c.outlast, time.Since(started))
			})
		})
	}
}

// An upload may take an hour before its connection breaks; it is tried again all the same.
func TestPatienceBeginsWithTheFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, hour := faulty.New(memory.New(0)), make(chan struct{})
		time.AfterFunc(time.Hour, func() { close(hour) })
		inner.Inject(faulty.Fault{Op: faulty.Put, Times: 1, Block: hour, Err: failure.New(failure.Unreachable, "put", "reset", "")})
		require.NoError(t, retry.New(inner, retry.Options{}).Put(t.Context(), "k", strings.NewReader("x"), 1))
	})
}

func TestCancellingEndsTheWaitAtOnceAndSaysWhatWasWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := faulty.New(memory.New(0))
		inner.Cut()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(17*time.Second, cancel)
		started := time.Now()
		_, err := retry.New(inner, retry.Options{}).Stat(ctx, "k")
		require.Equal(t, failure.Unreachable, failure.ClassOf(err))
		require.Equal(t, 17*time.Second, time.Since(started))
	})
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
