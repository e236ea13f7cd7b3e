package s3_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/s3"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

func TestEveryS3ServiceKeepsTheContract(t *testing.T) {
	for _, kind := range []domain.StorageLocationType{domain.StorageS3, domain.StorageMinIO, domain.StorageBackblaze} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			storagetest.Run(t, storagetest.Config{
				Open: func(t *testing.T) storage.Store {
					store, err := s3.Open(context.Background(), options(t, kind, server, bucket(t, server), "some/where"))
					require.NoError(t, err)
					return store
				},
				Is: func(store storage.Store) bool { _, ok := store.(*s3.Store); return ok },
			})
		})
	}
}
