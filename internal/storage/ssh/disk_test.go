package ssh_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/ssh"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

func put(t *testing.T, store *ssh.Store, key, content string) string {
	t.Helper()
	require.NoError(t, store.Put(t.Context(), key, strings.NewReader(content), int64(len(content))))
	return key
}

func TestSymbolicLinksDoNotLeadOutOfTheRoot(t *testing.T) {
	ctx, outside := t.Context(), t.TempDir()
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	secret := filepath.Join(outside, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("secret"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(opts.Root, "dir")))
	require.NoError(t, os.Symlink(secret, filepath.Join(opts.Root, "file")))
	require.NoError(t, os.Symlink("../../"+filepath.Base(outside), filepath.Join(opts.Root, "relative")))
	store := open(t, opts)
	defer store.Close()
	for _, key := range []string{"dir/secret", "file"} {
		_, err := store.Get(ctx, key, 0, -1)
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "get %s: %v", key, err)
		require.NotEmpty(t, failure.HintOf(err))
		_, err = store.Stat(ctx, key)
		require.Error(t, err, key)
		require.Error(t, store.Copy(ctx, key, "copy"), key)
	}
	for _, key := range []string{"dir/new", "relative/new"} {
		require.Error(t, store.Put(ctx, key, strings.NewReader("x"), 1), key)
	}
	require.Error(t, store.Delete(ctx, "dir/secret"))
	require.Error(t, store.List(ctx, "dir/", func(storage.Object) error { return nil }))
	require.NoError(t, store.Delete(ctx, "file"), "the link goes, not what it points to")
	require.NoError(t, store.List(ctx, "", func(o storage.Object) error {
		t.Errorf("listed %s", o.Key)
		return nil
	}))
	require.NoError(t, os.Symlink(secret, filepath.Join(opts.Root, "link")))
	put(t, store, "link", "own") // it replaces a link itself
	content, err := os.ReadFile(secret)
	require.NoError(t, err)
	require.Equal(t, "secret", string(content))
	entries, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestALinkInPlaceOfTheTemporaryDirectoryIsRefused(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	require.NoError(t, os.Symlink(t.TempDir(), filepath.Join(opts.Root, storage.Reserved)))
	_, err := ssh.Open(t.Context(), opts)
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%v", err)
}

func TestTemporaryFilesOfDeadProcessesAreRemoved(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	require.NoError(t, os.Mkdir(filepath.Join(opts.Root, ".tmp"), 0o700))
	old, recent := filepath.Join(opts.Root, ".tmp", "1-old"), filepath.Join(opts.Root, ".tmp", "1-recent")
	for _, path := range []string{old, recent} {
		require.NoError(t, os.WriteFile(path, []byte("half"), 0o600))
	}
	yesterday := time.Now().Add(-25 * time.Hour)
	require.NoError(t, os.Chtimes(old, yesterday, yesterday))
	store := open(t, opts)
	defer store.Close()
	require.NoFileExists(t, old)
	require.FileExists(t, recent, "another worker may be writing it")
	usage, err := store.Usage(t.Context())
	require.NoError(t, err)
	require.Zero(t, usage.Used, "uploads in flight are no objects")
	require.Positive(t, usage.Available)
	require.GreaterOrEqual(t, usage.Capacity, usage.Available)
}

func TestNothingIsLeftBehind(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, filepath.Join(t.TempDir(), "root"))
	store := open(t, opts)
	defer store.Close()
	info, err := os.Stat(opts.Root)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	require.Error(t, store.Put(t.Context(), "a/b/c", strings.NewReader("short"), 10))
	put(t, store, "a/b/c", "x")
	require.NoError(t, store.Delete(t.Context(), "a/b/c"))
	var left []string
	require.NoError(t, filepath.WalkDir(opts.Root, func(path string, entry os.DirEntry, err error) error {
		left = append(left, strings.TrimPrefix(path, opts.Root))
		return err
	}))
	require.Equal(t, []string{"", "/.tmp", "/.tmp/volume"}, left)
}

func TestANameIsAnObjectOrADirectory(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	store := open(t, opts)
	defer store.Close()
	put(t, store, "a/b", "x")
	for _, key := range []string{"a", "a/b/c", "a/b/c/d"} {
		err := store.Put(t.Context(), key, strings.NewReader("x"), 1)
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%s: %v", key, err)
		require.NotEmpty(t, failure.HintOf(err))
	}
	require.Empty(t, tempFiles(t, opts.Root))
}

func TestADirectoryThatMayOnlyBeReadCanBeRestoredFrom(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{SFTPArgs: "-R"})
	opts := optionsOf(server, t.TempDir())
	require.NoError(t, os.MkdirAll(filepath.Join(opts.Root, "d"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(opts.Root, "d", "k"), []byte("value"), 0o600))
	store := open(t, opts)
	defer store.Close()
	body, err := store.Get(t.Context(), "d/k", 0, -1)
	require.NoError(t, err)
	content, err := io.ReadAll(body)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	require.Equal(t, "value", string(content))
	for name, err := range map[string]error{
		"put": store.Put(t.Context(), "new", strings.NewReader("x"), 1), "delete": store.Delete(t.Context(), "d/k"), "copy": store.Copy(t.Context(), "d/k", "new"),
	} {
		require.Equal(t, failure.AuthFailed, failure.ClassOf(err), "%s: %v", name, err)
		require.Equal(t, "Give the server's user read, write and search rights on the directory and what is in it.", failure.HintOf(err), name)
	}
	opts.Root = filepath.Join(opts.Root, "new")
	_, err = ssh.Open(t.Context(), opts)
	require.Equal(t, failure.AuthFailed, failure.ClassOf(err), "%v", err)
}

func TestAFullDiskIsTold(t *testing.T) {
	disk := storagetest.SmallDir(t, 8<<20)
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, filepath.Join(disk, "root"))
	store := open(t, opts)
	defer store.Close()
	put(t, store, "kept", "as it was")
	content := noise(12 << 20)
	for range 2 {
		err := store.Put(t.Context(), "large", bytes.NewReader(content), int64(len(content)))
		require.ErrorIs(t, err, storage.ErrFull)
		require.Equal(t, failure.StorageFull, failure.ClassOf(err))
		require.NotEmpty(t, failure.HintOf(err))
	}
	require.Empty(t, tempFiles(t, opts.Root))
	put(t, store, "fits", string(content[:6<<20]))
	require.NoError(t, store.Sync(t.Context()))
	err := store.Copy(t.Context(), "fits", "again")
	require.ErrorIs(t, err, storage.ErrFull)

	require.NoError(t, unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	err = store.Put(t.Context(), "new", strings.NewReader("x"), 1)
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%v", err)
	require.ErrorContains(t, err, "read-only")
}

func TestMoreObjectsThanCanBeCountedAreNoFailure(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	store := open(t, optionsOf(server, t.TempDir()))
	defer store.Close()
	put(t, store, "a", "x")
	store.CountFor(time.Nanosecond)
	for range 2 {
		usage, err := store.Usage(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, -1, usage.Used)
		require.Positive(t, usage.Available, "the server still tells what is free")
		put(t, store, "b", "x")
	}
}
