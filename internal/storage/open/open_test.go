package open_test

import (
	"context"
	"strings"
	"testing"

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

func TestATypeWithoutABackendIsUnsupported(t *testing.T) {
	for _, kind := range []domain.StorageLocationType{domain.StorageS3, domain.StorageSSH, "tape"} {
		_, err := open.Open(context.Background(), kind, domain.StorageConfig{})
		require.Equal(t, failure.Unsupported, failure.ClassOf(err))
	}
}
