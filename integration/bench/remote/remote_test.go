package remote

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/integration/bench/transfer"
)

func TestObjectsGoToAnSSHServerAndBack(t *testing.T) {
	dir, from, to := t.TempDir(), t.TempDir(), t.TempDir()
	place, err := SSH(t.Context(), dir)
	require.NoError(t, err, "the package openssh-server brings the server")
	t.Cleanup(place.Stop)
	require.NoError(t, os.WriteFile(filepath.Join(from, "object"), []byte("what is kept"), 0o600))

	require.NoError(t, transfer.Main(t.Context(), transfer.PutArguments(place.Location, from)[1:]))
	stored, err := os.ReadFile(filepath.Join(place.Objects, "object"))
	require.NoError(t, err)
	require.Equal(t, "what is kept", string(stored))
	require.NoError(t, transfer.Main(t.Context(), transfer.GetArguments(place.Location, to)[1:]))
	got, err := os.ReadFile(filepath.Join(to, "object"))
	require.NoError(t, err)
	require.Equal(t, "what is kept", string(got))

	place.Stop()
	require.Error(t, place.server.listens(t.Context(), "127.0.0.1:1"), "it has ended")
}

func TestSecretsAreInFilesOfTheirOwner(t *testing.T) {
	dir := t.TempDir()
	place := newPlace(dir)
	require.NoError(t, place.configure(dir, "copies", "type = s3", "secret_access_key = x"))
	require.Equal(t, "bench:copies", place.Rclone)
	local, err := Local(dir)
	require.NoError(t, err)
	require.DirExists(t, local.Objects)
	for _, file := range []string{place.Config, local.Location} {
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file)
	}
}

func TestADirectoryIsEmptiedAndStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	require.NoError(t, Empty(dir))
	before, err := os.Stat(dir)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "c", "d"), 0o755))
	require.NoError(t, Empty(dir))
	after, err := os.Stat(dir)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestAServerThatEndsAtOnceIsAnErrorWithItsLog(t *testing.T) {
	shell, err := exec.LookPath("sh")
	require.NoError(t, err)
	port, err := freePort(t.Context())
	require.NoError(t, err)
	_, err = start(t.Context(), t.TempDir(), address(port), nil, shell, "-c", "echo no such setting >&2; exit 1")
	require.ErrorContains(t, err, "no such setting")
}
