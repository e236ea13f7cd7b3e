package s3_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/s3/s3server"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

func TestAServerWhoseDiskIsFullIsFullAndNothingIsLeft(t *testing.T) {
	disk := storagetest.SmallDir(t, 8<<20)
	if err := unix.Setxattr(disk, "user.test", []byte("x"), 0); err != nil {
		storagetest.Cannot(t, "this kernel's tmpfs has no attributes, which the server needs: %v", err)
	}
	own, err := s3server.Start(context.Background(), s3server.Options{Dir: disk})
	require.NoError(t, err)
	t.Cleanup(own.Stop)

	store := open(t, options(t, domain.StorageS3, own, bucket(t, own), ""))
	put(t, store, "fits", strings.Repeat("x", 5<<20))
	err = store.Put(t.Context(), "does not", strings.NewReader(strings.Repeat("x", 5<<20)), 5<<20)
	require.ErrorIs(t, err, storage.ErrFull)
	require.Equal(t, failure.StorageFull, failure.ClassOf(err))
	require.Contains(t, failure.HintOf(err), "Free space")
	require.Equal(t, []string{"fits"}, list(t, store))
	require.NoError(t, store.Delete(t.Context(), "fits"))
	put(t, store, "fits again", strings.Repeat("x", 5<<20))
}
