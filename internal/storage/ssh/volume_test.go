package ssh_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/ssh"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

func volumeOf(t *testing.T, opts ssh.Options) string {
	t.Helper()
	store := open(t, opts)
	defer store.Close()
	volume, err := store.Volume(t.Context())
	require.NoError(t, err)
	return volume
}

func putInto(t *testing.T, opts ssh.Options, key string) {
	t.Helper()
	store := open(t, opts)
	defer store.Close()
	put(t, store, key, "x")
}

func TestTheVolumeIsTheRootsHoweverEmpty(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, filepath.Join(t.TempDir(), "root"))
	require.Empty(t, volumeOf(t, opts), "of a root that nothing was put into")
	require.NoDirExists(t, filepath.Join(opts.Root, storage.Reserved), "asking makes nothing")
	putInto(t, opts, "a/k")
	volume := volumeOf(t, opts)
	require.NotEmpty(t, volume)
	require.NoError(t, os.RemoveAll(filepath.Join(opts.Root, "a")))
	yesterday := time.Now().Add(-25 * time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(opts.Root, ".tmp", "volume"), yesterday, yesterday))
	require.Equal(t, volume, volumeOf(t, opts), "it was wiped, and is not cleared away")
	putInto(t, opts, "b/k")
	require.Equal(t, volume, volumeOf(t, opts))

	// Another directory stands in its place: a disk that is not mounted.
	require.NoError(t, os.Rename(opts.Root, opts.Root+"-elsewhere"))
	require.NoError(t, os.Mkdir(opts.Root, 0o700))
	require.Empty(t, volumeOf(t, opts))
	putInto(t, opts, "a/k")
	other := volumeOf(t, opts)
	require.NotEmpty(t, other)
	require.NotEqual(t, volume, other)

	require.NoError(t, os.WriteFile(filepath.Join(opts.Root, ".tmp", "volume"), []byte("short"), 0o600))
	require.Empty(t, volumeOf(t, opts), "what nobody wrote says nothing")
	require.NoError(t, os.RemoveAll(filepath.Join(opts.Root, ".tmp")))
	require.NoError(t, os.Symlink(filepath.Join(opts.Root+"-elsewhere", ".tmp"), filepath.Join(opts.Root, ".tmp")))
	opts.Reading = true
	store := open(t, opts)
	defer store.Close()
	_, err := store.Volume(t.Context())
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "a link leads elsewhere: %v", err)
}

func TestWorkersThatBeginTogetherAgreeOnTheVolume(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	stores := make([]*ssh.Store, 4)
	for i := range stores {
		stores[i] = open(t, opts)
		defer stores[i].Close()
	}
	var group errgroup.Group
	for _, store := range stores {
		group.Go(func() error { return store.Put(t.Context(), "k", strings.NewReader("x"), 1) })
	}
	require.NoError(t, group.Wait())
	volumes := map[string]bool{}
	for _, store := range stores {
		volume, err := store.Volume(t.Context())
		require.NoError(t, err)
		volumes[volume] = true
	}
	require.Len(t, volumes, 1)
	require.NotContains(t, volumes, "")
	require.Empty(t, tempFiles(t, opts.Root))
}
