package open_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/local"
	"github.com/dataguardian/dataguardian/internal/storage/open"
	"github.com/dataguardian/dataguardian/internal/storage/retry"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

func openLocal(t *testing.T, maxBytes int64) storage.Store {
	t.Helper()
	return openAt(t, t.TempDir(), maxBytes)
}

func openAt(t *testing.T, root string, maxBytes int64) storage.Store {
	t.Helper()
	store, err := open.Open(context.Background(), domain.StorageLocal,
		domain.StorageConfig{Path: root, MaxSizeGB: float64(maxBytes) / 1e9})
	require.NoError(t, err)
	return store
}

func TestALocalLocationKeepsTheContract(t *testing.T) {
	storagetest.Run(t, storagetest.Config{
		Open:          func(t *testing.T) storage.Store { return openLocal(t, 0) },
		OpenWithQuota: openLocal,
		OpenSmall: func(t *testing.T, maxBytes int64) storage.Store {
			return openAt(t, storagetest.SmallDir(t, maxBytes), 0)
		},
		OpenReadOnly: func(t *testing.T, objects map[string]string) storage.Store {
			root := t.TempDir()
			writable := openAt(t, root, 0)
			for key, content := range objects {
				require.NoError(t, writable.Put(t.Context(), key, strings.NewReader(content), int64(len(content))))
			}
			require.NoError(t, writable.Close())
			storagetest.ReadOnlyDir(t, root)
			return openAt(t, root, 0)
		},
		Without: map[storagetest.Check]string{
			storagetest.BrokenConnection: "a directory has no connection",
			storagetest.LargeObject:      "TestLocalKeepsTheContract of package local makes it",
			storagetest.ManyObjects:      "TestLocalKeepsTheContract of package local makes it",
		},
		Is: func(s storage.Store) bool {
			decorated, ok := s.(*retry.Store)
			if !ok {
				return false
			}
			_, ok = decorated.Unwrap().(*local.Store)
			return ok
		},
	})
}

func TestTheUsesOfALocationShareItsParallelUploads(t *testing.T) {
	ctx, config := context.Background(), domain.StorageConfig{Path: t.TempDir(), ParallelUploads: 1}
	var opener open.Opener
	var stores []storage.Store
	for _, location := range []string{"one", "one", "two"} {
		store, err := opener.Open(ctx, domain.StorageLocal, config, storage.Use{LocationID: location})
		require.NoError(t, err)
		stores = append(stores, store)
	}
	body, feed := io.Pipe()
	first := make(chan error, 1)
	go func() { first <- stores[0].Put(ctx, "first", body, 1) }()
	_, err := feed.Write(nil) // returns when the put reads, which it does inside its turn
	require.NoError(t, err)
	soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, stores[1].Put(soon, "second", strings.NewReader("x"), 1), context.DeadlineExceeded)
	require.NoError(t, stores[2].Put(ctx, "third", strings.NewReader("x"), 1), "another location's turn")
	_, err = feed.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, feed.Close())
	require.NoError(t, <-first)
	require.NoError(t, stores[1].Put(ctx, "second", strings.NewReader("x"), 1))
	for _, store := range stores {
		require.NoError(t, store.Close())
	}
}

func TestAUseMayLimitTheBandwidth(t *testing.T) {
	store, err := new(open.Opener).Open(context.Background(), domain.StorageLocal, domain.StorageConfig{Path: t.TempDir()},
		storage.Use{BandwidthMbps: 8, LocationID: "one"})
	require.NoError(t, err)
	defer store.Close()
	started := time.Now()
	require.NoError(t, store.Put(context.Background(), "k", bytes.NewReader(make([]byte, 3e5)), 3e5))
	require.Greater(t, time.Since(started), 200*time.Millisecond)
}

func TestATypeWithoutABackendIsUnsupported(t *testing.T) {
	for _, kind := range []domain.StorageLocationType{"", "tape"} {
		_, err := open.Open(context.Background(), kind, domain.StorageConfig{})
		require.Equal(t, failure.Unsupported, failure.ClassOf(err))
	}
}
