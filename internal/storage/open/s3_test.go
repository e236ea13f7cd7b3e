package open_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage/open"
	"github.com/dataguardian/dataguardian/internal/storage/retry"
	"github.com/dataguardian/dataguardian/internal/storage/s3"
)

func TestTheS3TypesAreOneBackend(t *testing.T) {
	for _, kind := range []domain.StorageLocationType{domain.StorageS3, domain.StorageMinIO, domain.StorageBackblaze} {
		store, err := open.Open(context.Background(), kind, domain.StorageConfig{
			Bucket: "bucket", BucketName: "bucket", Region: "us-west-004", Endpoint: "s3.example.com",
			AccessKeyID: "id", SecretAccessKey: "secret",
		})
		require.NoError(t, err)
		decorated, ok := store.(*retry.Store)
		require.True(t, ok)
		require.IsType(t, &s3.Store{}, decorated.Unwrap())
		require.NoError(t, store.Close())
	}
}
