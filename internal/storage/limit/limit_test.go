package limit_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
	"github.com/dataguardian/dataguardian/internal/storage/limit"
	"github.com/dataguardian/dataguardian/internal/storage/memory"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

const megabyte = 8.0 // megabits

// over is the suite for a decorator that decorate puts around a store.
func over(decorate func(storage.Store) storage.Store, is func(storage.Store) bool) storagetest.Config {
	return storagetest.Config{
		Open:          func(*testing.T) storage.Store { return decorate(memory.New(0)) },
		OpenWithQuota: func(_ *testing.T, maxBytes int64) storage.Store { return decorate(memory.New(maxBytes)) },
		Is:            is,
		OpenReadOnly: func(t *testing.T, objects map[string]string) storage.Store {
			inner := faulty.New(memory.New(0))
			for key, content := range objects {
				require.NoError(t, inner.Put(t.Context(), key, strings.NewReader(content), int64(len(content))))
			}
			inner.InjectAll(failure.New(failure.AuthFailed, "write", "access denied", "Give the user the right to write."),
				faulty.Put, faulty.Copy, faulty.Delete)
			return decorate(inner)
		},
		OpenBroken: func(*testing.T) storagetest.Broken {
			inner := faulty.New(memory.New(0))
			return storagetest.Broken{Store: decorate(inner), Cut: inner.Cut, Restore: inner.Clear}
		},
		Without: map[storagetest.Check]string{storagetest.Full: "memory has no device; its limit is the quota"},
	}
}

func TestLimitedBandwidthKeepsTheContract(t *testing.T) {
	storagetest.Run(t, over(
		func(s storage.Store) storage.Store { return limit.NewBandwidth(s, 100_000) },
		func(s storage.Store) bool { _, ok := s.(*limit.Bandwidth); return ok }))
}

func TestLimitedWritesKeepTheContract(t *testing.T) {
	var writes limit.Writes
	storagetest.Run(t, over(
		func(s storage.Store) storage.Store { return writes.Store(s, t.Name(), 2) },
		func(s storage.Store) bool { _, ok := s.(*limit.Limited); return ok }))
}

// takes measures on a clock that moves only while everybody waits.
func takes(t *testing.T, what func(*testing.T)) (took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		what(t)
		took = time.Since(started)
	})
	return took
}

func TestBytesPassAtTheLimitInBothDirections(t *testing.T) {
	const size = 1e6
	inner := memory.New(0)
	body := bytes.Repeat([]byte("0123456789"), size/10)
	took := takes(t, func(t *testing.T) {
		s := limit.NewBandwidth(inner, megabyte)
		var together sync.WaitGroup
		for _, key := range []string{"a", "b", "c", "d"} {
			together.Go(func() { require.NoError(t, s.Put(t.Context(), key, bytes.NewReader(body), size)) })
		}
		together.Wait()
	})
	require.InDelta(t, 4, took.Seconds(), 0.2, "four megabytes at one a second, however many puts share it")
	took = takes(t, func(t *testing.T) {
		r, err := limit.NewBandwidth(inner, megabyte).Get(t.Context(), "a", 0, -1)
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, body, content)
	})
	require.InDelta(t, 1, took.Seconds(), 0.1)
}

// A backend that hashes a body before it sends it reads it twice, and sends it once.
func TestABodyThatIsReadTwiceIsCountedOnce(t *testing.T) {
	took := takes(t, func(t *testing.T) {
		s := limit.NewBandwidth(hashing{memory.New(0)}, megabyte)
		require.NoError(t, s.Put(t.Context(), "k", bytes.NewReader(make([]byte, 1e6)), 1e6))
	})
	require.InDelta(t, 1, took.Seconds(), 0.1)
}

type hashing struct{ storage.Store }

func (h hashing) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	start, err := body.(io.Seeker).Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	if _, err := body.(io.Seeker).Seek(start, io.SeekStart); err != nil {
		return err
	}
	return h.Store.Put(ctx, key, body, size)
}

func TestWaitingForBandwidthEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := limit.NewBandwidth(memory.New(0), 0.1)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		started := time.Now()
		require.ErrorIs(t, s.Put(ctx, "k", bytes.NewReader(make([]byte, 1e6)), 1e6), context.Canceled)
		require.Equal(t, time.Second, time.Since(started))

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := s.Put(ctx, "k", bytes.NewReader(make([]byte, 1e6)), 1e6)
		require.Equal(t, failure.Timeout, failure.ClassOf(err))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// slow is a store whose writes take a second, and which remembers how many there were at once.
type slow struct {
	storage.Store
	mu        sync.Mutex
	now, most int
}

func (s *slow) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	s.count(1)
	defer s.count(-1)
	time.Sleep(time.Second)
	return s.Store.Put(ctx, key, body, size)
}

func (s *slow) Copy(ctx context.Context, from, to string) error {
	s.count(1)
	defer s.count(-1)
	time.Sleep(time.Second)
	return s.Store.Copy(ctx, from, to)
}

// peak gives how many writes there were at once since the last call.
func (s *slow) peak() (most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	most, s.most = s.most, 0
	return most
}

func (s *slow) count(change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now += change
	s.most = max(s.most, s.now)
}

func TestWritesToALocationAreSharedByAllItsStores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var writes limit.Writes
		disk := &slow{Store: memory.New(0)}
		stores := []*limit.Limited{writes.Store(disk, "site", 3), writes.Store(disk, "site", 3), writes.Store(disk, "site", 3)}
		other := writes.Store(&slow{Store: memory.New(0)}, "elsewhere", 3)
		write := func(s *limit.Limited, key string) {
			require.NoError(t, s.Put(t.Context(), key, strings.NewReader("x"), 1))
			require.NoError(t, s.Copy(t.Context(), key, key+"-copy"))
		}
		started := time.Now()
		var all sync.WaitGroup
		for i, s := range append(stores, stores...) {
			all.Go(func() { write(s, strings.Repeat("k", i+1)) })
		}
		all.Go(func() { write(other, "k") })
		all.Wait()
		require.Equal(t, 3, disk.peak())
		require.Equal(t, 4*time.Second, time.Since(started), "twelve writes of a second, three at a time")

		// Reads do not wait while every place is taken.
		for _, s := range stores {
			all.Go(func() { write(s, "later") })
		}
		synctest.Wait()
		started = time.Now()
		_, err := stores[0].Stat(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, started, time.Now())

		// A wait ends with its context and leaves no place taken.
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, stores[0].Put(ctx, "k", strings.NewReader("x"), 1), context.DeadlineExceeded)

		// A new setting counts at once for all.
		narrow := writes.Store(disk, "site", 1)
		all.Wait()
		disk.peak()
		for i, s := range append(stores, narrow) {
			all.Go(func() { write(s, strings.Repeat("n", i+1)) })
		}
		all.Wait()
		require.Equal(t, 1, disk.peak())
		for _, s := range append(stores, narrow, other) {
			require.NoError(t, s.Close())
		}
		wide := writes.Store(disk, "site", 5)
		for i := range 6 {
			all.Go(func() { write(wide, strings.Repeat("w", i+1)) })
		}
		all.Wait()
		require.Equal(t, 5, disk.peak(), "after the last store is closed, nothing of the old limit is left")
	})
}
