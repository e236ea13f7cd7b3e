package local_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/local"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

func TestWhatWasSyncedSurvivesAPowerCut(t *testing.T) {
	disk, ctx := storagetest.NewCrashDisk(t, 256<<20), t.Context()
	root := filepath.Join(disk.Dir, "backups")
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
	disk.ShutDown(t)
	disk.Mount(t)
	again := open(t, local.Options{Root: root})
	require.Equal(t, want, storagetest.Contents(t, again))

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
	disk.ShutDown(t)
	disk.Mount(t)
	last := open(t, local.Options{Root: root})
	found := storagetest.Contents(t, last)
	// One journal has all names: that of lost/one may have come along, though not its content.
	delete(found, "lost/one")
	require.Equal(t, want, found)

	put(last, "unsynced", "x")
	require.NoError(t, last.Close())
	disk.ShutDown(t)
	disk.Mount(t)
	end := open(t, local.Options{Root: root})
	defer end.Close()
	require.NotContains(t, storagetest.Contents(t, end), "unsynced", "this disk loses nothing: the test proves nothing")
}

func TestSyncTellsOfAWriteThatFailedAndDoesNotForgetIt(t *testing.T) {
	disk, ctx := storagetest.NewCrashDisk(t, 256<<20), t.Context()
	store := open(t, local.Options{Root: filepath.Join(disk.Dir, "backups")})
	require.NoError(t, store.Put(ctx, "k", bytes.NewReader(make([]byte, 1<<20)), 1<<20))
	disk.ShutDown(t)
	failed := store.Sync(ctx)
	require.Error(t, failed)
	require.Equal(t, failed, store.Sync(ctx), "a second call says the same")
	require.NoError(t, store.Close())
}
