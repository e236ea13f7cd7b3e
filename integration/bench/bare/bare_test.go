package bare

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/integration/bench/database"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/storage/local"
)

func TestABareBackupIsAWholeBackup(t *testing.T) {
	// Not t.TempDir: as root, Postgres runs as another user, who must get in.
	dir, err := os.MkdirTemp("", "dataguardian-bench-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	server, err := database.Start(t.Context(), filepath.Join(dir, "postgres"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	const size = 3 << 20
	require.NoError(t, server.Random(t.Context(), "random", size))

	address, root := server.Address("random"), filepath.Join(dir, "backup")
	t.Setenv("PGPASSWORD", address.Password)
	arguments := Arguments(root, server.BinDir(), address.Host, address.Port, address.User, address.Name)
	require.Equal(t, Command, arguments[0])
	require.NoError(t, Main(t.Context(), arguments[1:]))

	manifests, err := filepath.Glob(filepath.Join(root, "bare-*", "backups", "*", "*.json"))
	require.NoError(t, err)
	require.Len(t, manifests, 1)
	key, err := filepath.Rel(root, manifests[0])
	require.NoError(t, err)
	store, err := local.Open(t.Context(), local.Options{Root: root})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	manifest, err := archive.OpenManifest(t.Context(), store, key, "")
	require.NoError(t, err)
	require.True(t, manifest.Encrypted())
	require.Greater(t, manifest.PlainBytes(), int64(size))
	_, _, err = archive.CheckBytes(t.Context(), store, manifest, nil)
	require.NoError(t, err)
}

func TestABareBackupWantsItsArguments(t *testing.T) {
	require.ErrorContains(t, Main(t.Context(), []string{"only one"}), "wants")
}
