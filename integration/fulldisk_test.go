package integration

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// A disk that is really full answers in its own way and at its own moment; a quota is refused
// before anything is written. Both end the same for the operator.
func TestAFullDiskFailsTheBackupAndLeavesNothing(t *testing.T) {
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
	s := newSetup(t, withNoise(30), withStorageAt(filepath.Join(disk, "backups")))

	failed := s.backUp(t)
	require.Equal(t, domain.Failed, failed.Status)
	require.Equal(t, "StorageFull", failed.Metadata.FailureClass, failed.ErrorMessage)
	require.Contains(t, failed.ErrorMessage, s.storageName)
	require.NotEmpty(t, failed.Metadata.Hint)
	require.Empty(t, s.objects(t), "a failed backup left objects behind")
	require.Zero(t, s.chunkRows(t, failed))
}
