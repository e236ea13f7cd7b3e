package s3_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage"
)

func TestADeleteInAVersionedBucketHidesTheObjectAndKeepsItsBytes(t *testing.T) {
	ctx := context.Background()
	name := bucketName()
	require.NoError(t, server.CreateVersionedBucket(ctx, name))
	store := open(t, options(t, domain.StorageS3, server, name, "backups"))
	put(t, store, "key", "first")
	put(t, store, "key", "second")
	require.NoError(t, store.Delete(ctx, "key"))

	_, err := store.Stat(ctx, "key")
	require.ErrorIs(t, err, storage.ErrNotFound)
	_, err = store.Get(ctx, "key", 0, -1)
	require.ErrorIs(t, err, storage.ErrNotFound)
	usage, err := store.Usage(ctx)
	require.NoError(t, err)
	require.Zero(t, usage.Used, "only current objects count")
	versions, err := server.Client().ListObjectVersions(ctx, &sdk.ListObjectVersionsInput{Bucket: &name})
	require.NoError(t, err)
	require.Len(t, versions.Versions, 2, "a lifecycle rule has to remove them")
	require.Len(t, versions.DeleteMarkers, 1)
}

// Services never refuse a delete that names no version: they hide the object, as in any versioned
// bucket. What is refused where a service has a lock without versions is in wire_test.go.
func TestADeleteInALockedBucketHidesTheObjectAndKeepsTheLockedVersion(t *testing.T) {
	ctx := context.Background()
	name := bucketName()
	require.NoError(t, server.CreateLockedBucket(ctx, name))
	_, err := server.Client().PutObjectLockConfiguration(ctx, &sdk.PutObjectLockConfigurationInput{
		Bucket: &name, ObjectLockConfiguration: &types.ObjectLockConfiguration{
			ObjectLockEnabled: types.ObjectLockEnabledEnabled,
			Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeCompliance, Days: aws.Int32(1)}},
		},
	})
	require.NoError(t, err)
	store := open(t, options(t, domain.StorageS3, server, name, ""))
	put(t, store, "kept", "x")
	put(t, store, "also", "y")
	require.NoError(t, store.Delete(ctx, "kept"))
	require.NoError(t, store.DeleteMany(ctx, []string{"also", "not-there"}))
	for _, key := range []string{"kept", "also"} {
		_, err := store.Stat(ctx, key)
		require.ErrorIs(t, err, storage.ErrNotFound)
	}
	versions, err := server.Client().ListObjectVersions(ctx, &sdk.ListObjectVersionsInput{Bucket: &name})
	require.NoError(t, err)
	require.Len(t, versions.Versions, 2)
	_, err = server.Client().DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: &name, Key: aws.String("kept"), VersionId: versions.Versions[0].VersionId})
	require.Error(t, err, "the server does lock versions")
}
