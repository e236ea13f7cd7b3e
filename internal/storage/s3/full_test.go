package s3_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/s3/s3server"
)

// As in integration: only root can make a disk that is small enough to fill, and CI runs as root.
func TestAServerWhoseDiskIsFullIsFullAndNothingIsLeft(t *testing.T) {
	cannot := func(format string, args ...any) {
		t.Helper()
		if os.Getenv("CI") != "" {
			t.Fatalf(format, args...)
		}
		t.Skipf(format, args...)
	}
	if os.Geteuid() != 0 {
		cannot("only root may mount the small file system that this test fills")
	}
	disk := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.Mkdir(disk, 0o700))
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=8m"); err != nil {
		cannot("this machine does not let root mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(disk, unix.MNT_DETACH)) })
	if err := unix.Setxattr(disk, "user.test", []byte("x"), 0); err != nil {
		cannot("this kernel's tmpfs has no attributes, which the server needs: %v", err)
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
