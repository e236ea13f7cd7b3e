package open_test

import (
	"context"
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
	store, err := open.Open(context.Background(), domain.StorageLocal,
		domain.StorageConfig{Path: t.TempDir(), MaxSizeGB: float64(maxBytes) / 1e9})
	require.NoError(t, err)
	return store
}

func TestALocalLocationKeepsTheContract(t *testing.T) {
	storagetest.Run(t, storagetest.Config{
		Open:          func(t *testing.T) storage.Store { return openLocal(t, 0) },
		OpenWithQuota: openLocal,
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
	for _, kind := range []domain.StorageLocationType{domain.StorageSSH, "tape"} {
		_, err := open.Open(context.Background(), kind, domain.StorageConfig{})
		require.Equal(t, failure.Unsupported, failure.ClassOf(err))
	}
}
