package storagetest

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// CrashDisk is a file system of its own whose machine can lose power.
type CrashDisk struct {
	Dir   string // where it is mounted
	image string
}

// NewCrashDisk makes an ext4 of so many bytes, which goes with the test. Only root may mount one: see Cannot.
func NewCrashDisk(t *testing.T, bytes int64) *CrashDisk {
	t.Helper()
	base := t.TempDir()
	d := &CrashDisk{Dir: filepath.Join(base, "disk"), image: filepath.Join(base, "image")}
	require.NoError(t, os.Mkdir(d.Dir, 0o700))
	require.NoError(t, os.WriteFile(d.image, nil, 0o600))
	require.NoError(t, os.Truncate(d.image, bytes))
	// No lazy initialisation: it would write in the background.
	run(t, "mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.image)
	d.mount(t)
	t.Cleanup(func() { require.NoError(t, unix.Unmount(d.Dir, unix.MNT_DETACH)) })
	return d
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		Cannot(t, "this machine lets nobody make a disk to crash: %s: %v: %s", name, err, out)
	}
}

// mount has the kernel write nothing by itself for ten minutes: what survives is what was synced.
func (d *CrashDisk) mount(t *testing.T) {
	t.Helper()
	run(t, "mount", "-o", "loop,commit=600", d.image, d.Dir)
}

// ShutDown stops the file system at once, without its journal (EXT4_IOC_SHUTDOWN, NOLOGFLUSH). What is
// asked of it after that fails.
func (d *CrashDisk) ShutDown(t *testing.T) {
	t.Helper()
	const shutdown, withoutJournal = 0x8004587d, 2
	dir, err := os.Open(d.Dir)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(int(dir.Fd()), shutdown, withoutJournal))
	require.NoError(t, dir.Close())
}

// Mount mounts, after ShutDown, what the disk has. Nobody may have anything open on it.
func (d *CrashDisk) Mount(t *testing.T) {
	t.Helper()
	require.NoError(t, unix.Unmount(d.Dir, 0))
	d.mount(t)
}

// Contents reads every object of a store.
func Contents(t *testing.T, store storage.Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, store.List(context.Background(), "", func(o storage.Object) error {
		body, err := store.Get(context.Background(), o.Key, 0, -1)
		require.NoError(t, err)
		content, err := io.ReadAll(body)
		require.NoError(t, err)
		out[o.Key] = string(content)
		return body.Close()
	}))
	return out
}
