package integration

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

// A disk that is really full answers in its own way and at its own moment; a quota is refused
// before anything is written. Both end the same for the operator.
func TestAFullDiskFailsTheBackupAndLeavesNothing(t *testing.T) {
	disk := storagetest.SmallDir(t, 8<<20)
	s := newSetup(t, withNoise(30), withStorageAt(filepath.Join(disk, "backups")))

	failed := s.backUp(t)
	require.Equal(t, domain.Failed, failed.Status)
	require.Equal(t, "StorageFull", failed.Metadata.FailureClass, failed.ErrorMessage)
	require.Contains(t, failed.ErrorMessage, s.storageName)
	require.NotEmpty(t, failed.Metadata.Hint)
	s.requireNothingLeft(t, failed)
}
