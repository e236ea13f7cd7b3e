package ssh_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage/ssh"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

// crashing is a server with a disk of its own, which can lose power.
type crashing struct {
	*sshserver.Server
	disk *storagetest.CrashDisk
}

func newCrashing(t *testing.T) *crashing {
	t.Helper()
	return &crashing{disk: storagetest.NewCrashDisk(t, 64<<20), Server: sshserver.Start(t, sshserver.Options{})}
}

// losePower ends server and disk, and starts them with what the disk has.
func (c *crashing) losePower(t *testing.T) {
	t.Helper()
	c.disk.ShutDown(t)
	c.Stop(t)
	c.disk.Mount(t)
	c.Run(t)
}

func TestWhatWasSyncedSurvivesAPowerCutOfTheServer(t *testing.T) {
	server, ctx := newCrashing(t), t.Context()
	store := open(t, optionsOf(server.Server, filepath.Join(server.disk.Dir, "backups")))
	defer store.Close()
	put(t, store, "a/b/kept", "value")
	put(t, store, "a/b/doomed", "x")
	put(t, store, "alone/in/here", "x")
	put(t, store, "again", "x")
	require.NoError(t, store.Sync(ctx))
	server.losePower(t)
	require.Equal(t, map[string]string{"a/b/kept": "value", "a/b/doomed": "x", "alone/in/here": "x", "again": "x"}, storagetest.Contents(t, store))

	// Deletions alone, with nothing put that would take them along.
	require.NoError(t, store.Delete(ctx, "a/b/doomed"))
	require.NoError(t, store.Delete(ctx, "alone/in/here"))
	require.NoError(t, store.Sync(ctx))
	server.losePower(t)
	require.Equal(t, map[string]string{"a/b/kept": "value", "again": "x"}, storagetest.Contents(t, store))

	// What a process that died had deleted is made durable by who deletes it again.
	dying := open(t, optionsOf(server.Server, filepath.Join(server.disk.Dir, "backups")))
	require.NoError(t, dying.Delete(ctx, "again"))
	require.NoError(t, dying.Close())
	require.NoError(t, store.Delete(ctx, "again"))
	require.NoError(t, store.Sync(ctx))
	server.losePower(t)
	require.Equal(t, map[string]string{"a/b/kept": "value"}, storagetest.Contents(t, store))

	require.NoError(t, store.Delete(ctx, "a/b/kept"))
	server.losePower(t)
	require.Equal(t, map[string]string{"a/b/kept": "value"}, storagetest.Contents(t, store), "this disk loses nothing: the test proves nothing")
	require.ErrorContains(t, store.Sync(ctx), "there again", "a deletion that the server forgot is told")
}

func TestADirectoryThatCanNotBeSavedIsTold(t *testing.T) {
	server, ctx := newCrashing(t), t.Context()
	store := open(t, optionsOf(server.Server, filepath.Join(server.disk.Dir, "backups")))
	defer store.Close()
	put(t, store, "doomed", "x")
	require.NoError(t, store.Sync(ctx))
	require.NoError(t, store.Delete(ctx, "doomed"))
	server.disk.ShutDown(t)
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
	require.Equal(t, map[string]string{"k": "second"}, storagetest.Contents(t, store))
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

func TestAnObjectThatIsAdoptedIsLeftAloneAndMadeDurable(t *testing.T) {
	server, ctx := newCrashing(t), t.Context()
	opts := optionsOf(server.Server, filepath.Join(server.disk.Dir, "backups"))
	dying := open(t, opts)
	put(t, dying, "a/k", "value")
	require.NoError(t, dying.Close())
	before, err := os.Stat(filepath.Join(opts.Root, "a/k"))
	require.NoError(t, err)

	store := open(t, opts)
	defer store.Close()
	require.NoError(t, store.Copy(ctx, "a/k", "a/k"))
	after, err := os.Stat(filepath.Join(opts.Root, "a/k"))
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after), "it was sent again, for which there may be no space")
	require.NoError(t, store.Sync(ctx))
	server.losePower(t)
	require.Equal(t, map[string]string{"a/k": "value"}, storagetest.Contents(t, store))

	require.NoError(t, store.Copy(ctx, "a/k", "a/k"))
	server.Stop(t)
	require.NoError(t, os.WriteFile(filepath.Join(opts.Root, "a/k"), []byte("zeros"), 0o600))
	server.Run(t)
	require.ErrorContains(t, store.Sync(ctx), "not there any more")
}
