package local_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/local"
)

// crashing is a disk of its own whose machine can lose power.
type crashing struct {
	t          *testing.T
	image, dir string
}

func newCrashing(t *testing.T) *crashing {
	t.Helper()
	base := t.TempDir()
	c := &crashing{t: t, image: filepath.Join(base, "image"), dir: filepath.Join(base, "disk")}
	require.NoError(t, os.Mkdir(c.dir, 0o700))
	require.NoError(t, os.WriteFile(c.image, nil, 0o600))
	require.NoError(t, os.Truncate(c.image, 256<<20))
	// No lazy initialisation: it would write in the background.
	c.run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", c.image)
	c.mount()
	t.Cleanup(func() { require.NoError(t, unix.Unmount(c.dir, unix.MNT_DETACH)) })
	return c
}

func (c *crashing) run(name string, args ...string) {
	c.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			c.t.Fatalf("%s: %v: %s", name, err, out)
		}
		c.t.Skipf("this machine lets nobody make a disk to crash: %s: %v: %s", name, err, out)
	}
}

// mount has the kernel write nothing by itself for ten minutes: what survives is what was synced.
func (c *crashing) mount() {
	c.t.Helper()
	c.run("mount", "-o", "loop,commit=600", c.image, c.dir)
}

// losePower stops the file system at once, without its journal (EXT4_IOC_SHUTDOWN, NOLOGFLUSH), and
// mounts what the disk has.
func (c *crashing) losePower() {
	c.t.Helper()
	const shutdown, withoutJournal = 0x8004587d, 2
	dir, err := os.Open(c.dir)
	require.NoError(c.t, err)
	require.NoError(c.t, unix.IoctlSetPointerInt(int(dir.Fd()), shutdown, withoutJournal))
	require.NoError(c.t, dir.Close())
	require.NoError(c.t, unix.Unmount(c.dir, 0))
	c.mount()
}

func contents(t *testing.T, store storage.Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, store.List(t.Context(), "", func(o storage.Object) error {
		body, err := store.Get(t.Context(), o.Key, 0, -1)
		require.NoError(t, err)
		content, err := io.ReadAll(body)
		require.NoError(t, err)
		out[o.Key] = string(content)
		return body.Close()
	}))
	return out
}

func TestWhatWasSyncedSurvivesAPowerCut(t *testing.T) {
	disk, ctx := newCrashing(t), t.Context()
	root := filepath.Join(disk.dir, "backups")
	put := func(s storage.Store, key, content string) {
		t.Helper()
		require.NoError(t, s.Put(ctx, key, strings.NewReader(content), int64(len(content))))
	}
	first := open(t, local.Options{Root: root})
	want := map[string]string{}
	for i := range 600 { // more than are kept open
		key, content := fmt.Sprintf("orders/chunks/%02x/%d", i%64, i), strings.Repeat(fmt.Sprint(i), 5000)
		put(first, key, content)
		want[key] = content
	}
	require.NoError(t, first.Copy(ctx, "orders/chunks/00/0", "deep/er/still/copy"))
	want["deep/er/still/copy"] = want["orders/chunks/00/0"]
	put(first, "replaced", "old")
	put(first, "doomed/one", "x")
	require.NoError(t, first.Sync(ctx))
	put(first, "replaced", "new")
	require.NoError(t, first.Delete(ctx, "doomed/one"))
	require.NoError(t, first.Sync(ctx))
	want["replaced"] = "new"
	require.NoError(t, first.Close())
	disk.losePower()
	again := open(t, local.Options{Root: root})
	require.Equal(t, want, contents(t, again))

	// What a process that died had put is not durable, until somebody makes it so.
	dying := open(t, local.Options{Root: root})
	put(dying, "adopted/one", "found again")
	put(dying, "lost/one", "never seen again")
	require.NoError(t, dying.Close())
	require.NoError(t, again.Copy(ctx, "adopted/one", "adopted/one"))
	require.NoError(t, again.Sync(ctx))
	want["adopted/one"] = "found again"
	require.NoError(t, again.Delete(ctx, "deep/er/still/copy"))
	require.NoError(t, again.Sync(ctx))
	delete(want, "deep/er/still/copy")
	require.NoError(t, again.Close())
	disk.losePower()
	last := open(t, local.Options{Root: root})
	found := contents(t, last)
	// One journal has all names: that of lost/one may have come along, though not its content.
	delete(found, "lost/one")
	require.Equal(t, want, found)

	put(last, "unsynced", "x")
	require.NoError(t, last.Close())
	disk.losePower()
	end := open(t, local.Options{Root: root})
	defer end.Close()
	require.NotContains(t, contents(t, end), "unsynced", "this disk loses nothing: the test proves nothing")
}

func TestSyncTellsOfAWriteThatFailedAndDoesNotForgetIt(t *testing.T) {
	disk, ctx := newCrashing(t), t.Context()
	store := open(t, local.Options{Root: filepath.Join(disk.dir, "backups")})
	require.NoError(t, store.Put(ctx, "k", bytes.NewReader(make([]byte, 1<<20)), 1<<20))
	dir, err := os.Open(disk.dir)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(int(dir.Fd()), 0x8004587d, 2))
	require.NoError(t, dir.Close())
	failed := store.Sync(ctx)
	require.Error(t, failed)
	require.Equal(t, failed, store.Sync(ctx), "a second call says the same")
	require.NoError(t, store.Close())
}
