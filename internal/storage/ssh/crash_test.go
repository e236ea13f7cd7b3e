package ssh_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/ssh"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

// crashing is a server with a disk of its own, which can lose power.
type crashing struct {
	*sshserver.Server
	image, dir string
}

func newCrashing(t *testing.T) *crashing {
	t.Helper()
	base := t.TempDir()
	c := &crashing{image: filepath.Join(base, "image"), dir: filepath.Join(base, "disk")}
	require.NoError(t, os.Mkdir(c.dir, 0o700))
	require.NoError(t, os.WriteFile(c.image, nil, 0o600))
	require.NoError(t, os.Truncate(c.image, 64<<20))
	// No lazy initialisation: it would write in the background.
	command(t, "mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", c.image)
	c.mount(t)
	t.Cleanup(func() { require.NoError(t, unix.Unmount(c.dir, unix.MNT_DETACH)) })
	c.Server = sshserver.Start(t, sshserver.Options{})
	return c
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil && os.Geteuid() != 0 {
		t.Skipf("only root makes a disk to crash: %s: %v: %s", name, err, out)
	}
	require.NoError(t, err, "%s: %s", name, out)
}

// mount has the kernel write nothing by itself for ten minutes: what survives is what was synced.
func (c *crashing) mount(t *testing.T) {
	t.Helper()
	command(t, "mount", "-o", "loop,commit=600", c.image, c.dir)
}

// shutDown stops the file system at once, without its journal (EXT4_IOC_SHUTDOWN, NOLOGFLUSH).
func (c *crashing) shutDown(t *testing.T) {
	t.Helper()
	const shutdown, withoutJournal = 0x8004587d, 2
	dir, err := os.Open(c.dir)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(int(dir.Fd()), shutdown, withoutJournal))
	require.NoError(t, dir.Close())
}

// losePower ends server and disk, and starts them with what the disk has.
func (c *crashing) losePower(t *testing.T) {
	t.Helper()
	c.shutDown(t)
	c.Stop(t)
	require.NoError(t, unix.Unmount(c.dir, 0))
	c.mount(t)
	c.Run(t)
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

func TestWhatWasSyncedSurvivesAPowerCutOfTheServer(t *testing.T) {
	server, ctx := newCrashing(t), t.Context()
	store := open(t, optionsOf(server.Server, filepath.Join(server.dir, "backups")))
	defer store.Close()
	put(t, store, "a/b/kept", "value")
	put(t, store, "a/b/doomed", "x")
	put(t, store, "alone/in/here", "x")
	put(t, store, "again", "x")
	require.NoError(t, store.Sync(ctx))
	server.losePower(t)
	require.Equal(t, map[string]string{"a/b/kept": "value", "a/b/doomed": "x", "alone/in/here": "x", "again": "x"}, contents(t, store))

	// Deletions alone, with nothing put that would take them along.
	require.NoError(t, store.Delete(ctx, "a/b/doomed"))
	require.NoError(t, store.Delete(ctx, "alone/in/here"))
	require.NoError(t, store.Sync(ctx))
	server.losePower(t)
	require.Equal(t, map[string]string{"a/b/kept": "value", "again": "x"}, contents(t, store))

	// What a process that died had deleted is made durable by who deletes it again.
	dying := open(t, optionsOf(server.Server, filepath.Join(server.dir, "backups")))
	require.NoError(t, dying.Delete(ctx, "again"))
	require.NoError(t, dying.Close())
	require.NoError(t, store.Delete(ctx, "again"))
	require.NoError(t, store.Sync(ctx))
	server.losePower(t)
	require.Equal(t, map[string]string{"a/b/kept": "value"}, contents(t, store))

	require.NoError(t, store.Delete(ctx, "a/b/kept"))
	server.losePower(t)
	require.Equal(t, map[string]string{"a/b/kept": "value"}, contents(t, store), "this disk loses nothing: the test proves nothing")
	require.ErrorContains(t, store.Sync(ctx), "there again", "a deletion that the server forgot is told")
}

func TestADirectoryThatCanNotBeSavedIsTold(t *testing.T) {
	server, ctx := newCrashing(t), t.Context()
	store := open(t, optionsOf(server.Server, filepath.Join(server.dir, "backups")))
	defer store.Close()
	put(t, store, "doomed", "x")
	require.NoError(t, store.Sync(ctx))
	require.NoError(t, store.Delete(ctx, "doomed"))
	server.shutDown(t)
	require.Error(t, store.Sync(ctx))
}

func TestAServerThatCrashesDuringSyncIsAskedAgain(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	store := open(t, opts)
	defer store.Close()
	put(t, store, "first", "a")
	server.Stop(t)
	server.Run(t)
	put(t, store, "k", "value") // after the only loss: nothing but settle has reason to look at it again
	before := store.Losses()
	require.NoError(t, store.Settle(t.Context(), before))
	require.NoError(t, store.Settle(t.Context(), before-1))
	require.NoError(t, os.Remove(filepath.Join(opts.Root, "k")))
	require.NoError(t, store.Settle(t.Context(), before))
	require.ErrorContains(t, store.Settle(t.Context(), before-1), "not there any more")
}

func TestAnObjectThatComesBackIsNoDeletionOfThisStore(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	store := open(t, optionsOf(server, t.TempDir()))
	defer store.Close()
	put(t, store, "k", "first")
	require.NoError(t, store.Delete(t.Context(), "k"))
	put(t, store, "k", "second")
	server.Stop(t)
	server.Run(t)
	require.NoError(t, store.Sync(t.Context()))
	require.Equal(t, map[string]string{"k": "second"}, contents(t, store))
}

func TestDeletionsWithoutASyncDoNotPileUp(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	store := open(t, optionsOf(server, t.TempDir()))
	defer store.Close()
	for i := range ssh.MaxUnsynced + 10 {
		require.NoError(t, store.Delete(t.Context(), "k"+strings.Repeat("x", i%200)+string(rune('0'+i/200))))
	}
	require.Less(t, store.Unsynced(), ssh.MaxUnsynced)
}

func TestAReadThatFailedSaysSoAgain(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	opts.Patience = time.Second
	store := open(t, opts)
	defer store.Close()
	body, err := store.Get(t.Context(), put(t, store, "k", string(noise(20<<20))), 0, -1)
	require.NoError(t, err)
	defer body.Close()
	server.Stop(t)
	_, first := io.Copy(io.Discard, body)
	require.Equal(t, failure.Unreachable, failure.ClassOf(first), "%v", first)
	_, second := body.Read(make([]byte, 1))
	require.Equal(t, first, second)
}
