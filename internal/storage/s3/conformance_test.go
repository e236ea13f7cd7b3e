package s3_test

import (
	"context"
	"flag"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/s3"
	"github.com/dataguardian/dataguardian/internal/storage/s3/s3server"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

func TestEveryS3ServiceKeepsTheContract(t *testing.T) {
	for _, kind := range []domain.StorageLocationType{domain.StorageS3, domain.StorageMinIO, domain.StorageBackblaze} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			runSuite(t, kind, server)
		})
	}
}

var withMinIO = flag.Bool("s3.minio", false, "also run the suite on a MinIO server, which takes minutes to build")

func TestMinIOKeepsTheContract(t *testing.T) {
	if !*withMinIO {
		t.Skip("MinIO takes too long to build for every run; ask for it with -s3.minio")
	}
	t.Parallel()
	runSuite(t, domain.StorageMinIO, start(t, s3server.Options{Kind: s3server.MinIO}))
}

func runSuite(t *testing.T, kind domain.StorageLocationType, on *s3server.Server) {
	t.Helper()
	storagetest.Run(t, storagetest.Config{
		Open: func(t *testing.T) storage.Store {
			t.Helper()
			store, err := s3.Open(context.Background(), options(t, kind, on, bucket(t, on), "some/where"))
			require.NoError(t, err)
			return store
		},
		Is: func(store storage.Store) bool { _, ok := store.(*s3.Store); return ok },
	})
}
