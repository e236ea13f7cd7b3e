package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
)

// counting counts the Puts of a store by key.
type counting struct {
	storage.Store
	mu   sync.Mutex
	puts map[string]int
}

func newCounting() *counting { return &counting{Store: newMemory(), puts: map[string]int{}} }

func (c *counting) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	err := c.Store.Put(ctx, key, body, size)
	if err == nil {
		c.mu.Lock()
		c.puts[key]++
		c.mu.Unlock()
	}
	return err
}

func backedUp(t *testing.T) (*faulty.Store, *Manifest, CommitResult) {
	t.Helper()
	store := faulty.New(newMemory())
	result, _ := backup(t, options(store), noise(7, 3<<20))
	require.Greater(t, len(result.Manifest.Objects), 3*copyBatchObjects/2, "several batches")
	return store, result.Manifest, result
}

func TestACopyHoldsWhatTheBackupHolds(t *testing.T) {
	from, m, result := backedUp(t)
	to := newCounting()
	var last int
	done, err := CopyObjects(t.Context(), from, to, m, CopyOptions{Progress: func(durable int, _ Copied) {
		require.Greater(t, durable, last)
		last = durable
	}})
	require.NoError(t, err)
	require.Equal(t, len(m.Objects), last)
	require.Equal(t, Copied{Copied: int64(len(m.Objects)), Bytes: m.StoredBytes()}, done)
	require.NoError(t, CopyManifest(t.Context(), from, testManifestKey(), to, testManifestKey(), result.ManifestSHA256))
	_, _, err = CheckBytes(t.Context(), to, m, nil)
	require.NoError(t, err)
	restored, err := restore(t, to, "main")
	require.NoError(t, err)
	require.Equal(t, noise(7, 3<<20), restored)

	again, err := CopyObjects(t.Context(), from, to, m, CopyOptions{})
	require.NoError(t, err)
	require.Equal(t, Copied{Present: int64(len(m.Objects))}, again)
}

func TestACopyThatWasCutOffGoesOnAndSendsNothingTwice(t *testing.T) {
	from, m, _ := backedUp(t)
	to := newCounting()
	ctx, cut := context.WithCancel(t.Context())
	durable := 0
	_, err := CopyObjects(ctx, from, to, m, CopyOptions{Progress: func(n int, _ Copied) { durable = n; cut() }})
	require.ErrorIs(t, err, context.Canceled)
	require.Positive(t, durable)
	require.Less(t, len(to.puts), len(m.Objects))

	_, err = CopyObjects(t.Context(), from, to, m, CopyOptions{Durable: durable})
	require.NoError(t, err)
	require.Len(t, to.puts, len(m.Objects))
	for key, n := range to.puts {
		require.Equal(t, 1, n, key)
	}
}

func TestWhatACrashLeftIsReadAndSentAgainWhereItIsNotWhole(t *testing.T) {
	from, m, _ := backedUp(t)
	to := newCounting()
	_, err := CopyObjects(t.Context(), from, to, m, CopyOptions{})
	require.NoError(t, err)
	spoiled := m.ObjectKey(3)
	zeros := make([]byte, m.Objects[3].StoredBytes)
	require.NoError(t, to.Put(t.Context(), spoiled, bytes.NewReader(zeros), int64(len(zeros))))

	trusting := func(context.Context, []int) ([]int, error) { return nil, nil }
	done, err := CopyObjects(t.Context(), from, to, m, CopyOptions{Trusted: trusting})
	require.NoError(t, err)
	require.Zero(t, done.Copied, "what is trusted is not read")
	done, err = CopyObjects(t.Context(), from, to, m, CopyOptions{Durable: 4})
	require.NoError(t, err)
	require.Zero(t, done.Copied, "what was durable is not read")
	done, err = CopyObjects(t.Context(), from, to, m, CopyOptions{})
	require.NoError(t, err)
	require.Equal(t, int64(1), done.Copied)
	_, _, err = CheckBytes(t.Context(), to, m, nil)
	require.NoError(t, err)
}

func TestACopyOfADamagedObjectIsRefusedAndIsTheSourcesFault(t *testing.T) {
	for name, fault := range map[string]faulty.Fault{
		"a flipped bit": {Op: faulty.Get, Damage: true, Flip: 5},
		"a short read":  {Op: faulty.Get, Cut: true, Truncate: 10},
		"a missing one": {Op: faulty.Get, Err: storage.NotFoundError("get object", "x")},
	} {
		t.Run(name, func(t *testing.T) {
			from, m, _ := backedUp(t)
			fault.Key = m.ObjectKey(2)
			from.Inject(fault)
			to := newCounting()
			_, err := CopyObjects(t.Context(), from, to, m, CopyOptions{})
			var source *SourceError
			require.ErrorAs(t, err, &source)
			require.Equal(t, failure.Corrupt, failure.ClassOf(err))
			require.ErrorContains(t, err, m.ObjectKey(2))
			require.NotContains(t, to.puts, m.ObjectKey(2))
		})
	}
}

func TestAPassingFailureOfEitherSideIsTriedAgain(t *testing.T) {
	from, m, _ := backedUp(t)
	passing := failure.New(failure.Unreachable, "get object", "connection reset", "")
	from.Inject(faulty.Fault{Op: faulty.Get, Key: m.ObjectKey(1), Times: 1, Err: passing})
	to := faulty.New(newMemory())
	to.Inject(faulty.Fault{Op: faulty.Put, Key: m.ObjectKey(2), Times: 1, Err: passing})
	_, err := CopyObjects(t.Context(), from, to, m, CopyOptions{})
	require.NoError(t, err)

	to.Inject(faulty.Fault{Op: faulty.List, Err: storage.FullError("list", "x", "")})
	_, err = CopyObjects(t.Context(), from, to, m, CopyOptions{})
	var source *SourceError
	require.False(t, errors.As(err, &source), "the target's fault")
	require.ErrorIs(t, err, storage.ErrFull)
}

func TestALostRepositoryDocumentComesBackWithItsID(t *testing.T) {
	store := newMemory()
	made, err := EnsureRepository(t.Context(), store)
	require.NoError(t, err)
	require.NoError(t, store.Delete(t.Context(), RepositoryKey))
	again, err := RestoreRepository(t.Context(), store, made.ID)
	require.NoError(t, err)
	require.Equal(t, made.ID, again.ID)
}
