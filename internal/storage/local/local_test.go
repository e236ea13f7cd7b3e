package local_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/local"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

func open(t *testing.T, opts local.Options) *local.Store {
	t.Helper()
	store, err := local.Open(context.Background(), opts)
	require.NoError(t, err)
	return store
}

func TestLocalKeepsTheContract(t *testing.T) {
	storagetest.Run(t, storagetest.Config{
		OpenSmall: func(t *testing.T, maxBytes int64) storage.Store {
			return open(t, local.Options{Root: storagetest.SmallDir(t, maxBytes)})
		},
		OpenReadOnly: openReadOnly,
		Without: map[storagetest.Check]string{
			storagetest.BrokenConnection: "a directory has no connection",
		},
		Open: func(t *testing.T) storage.Store { return open(t, local.Options{Root: t.TempDir()}) },
		OpenWithQuota: func(t *testing.T, maxBytes int64) storage.Store {
			return open(t, local.Options{Root: t.TempDir(), MaxBytes: maxBytes})
		},
		Is: func(s storage.Store) bool { _, ok := s.(*local.Store); return ok },
	})
}

func openReadOnly(t *testing.T, objects map[string]string) storage.Store {
	root := t.TempDir()
	writable := open(t, local.Options{Root: root})
	for key, content := range objects {
		require.NoError(t, writable.Put(t.Context(), key, strings.NewReader(content), int64(len(content))))
	}
	require.NoError(t, writable.Close())
	storagetest.ReadOnlyDir(t, root)
	return open(t, local.Options{Root: root})
}

func TestTheRootIsMadeOnlyInAnExistingParent(t *testing.T) {
	parent := t.TempDir()
	store := open(t, local.Options{Root: filepath.Join(parent, "new")})
	require.NoError(t, store.Close())
	info, err := os.Stat(filepath.Join(parent, "new"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	file := filepath.Join(parent, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, root := range []string{filepath.Join(parent, "not", "there"), "relative", "/", file} {
		_, err := local.Open(context.Background(), local.Options{Root: root})
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%s: %v", root, err)
		require.NotEmpty(t, failure.HintOf(err), root)
	}
}

func TestDirectoriesThatGoWhileTheyAreListedAreEmpty(t *testing.T) {
	ctx, outside, root := t.Context(), t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600))
	store := open(t, local.Options{Root: root})
	defer store.Close()
	for _, key := range []string{"a/1", "gone/1", "linked/1", "replaced/1", "z/1"} {
		require.NoError(t, store.Put(ctx, key, strings.NewReader("x"), 1))
	}
	var listed []string
	require.NoError(t, store.List(ctx, "", func(o storage.Object) error {
		listed = append(listed, o.Key)
		if o.Key == "a/1" {
			for _, dir := range []string{"gone", "linked", "replaced"} {
				require.NoError(t, os.RemoveAll(filepath.Join(root, dir)))
			}
			require.NoError(t, os.Symlink(outside, filepath.Join(root, "linked")))
			require.NoError(t, os.WriteFile(filepath.Join(root, "replaced"), nil, 0o600))
		}
		return nil
	}))
	require.Equal(t, []string{"a/1", "z/1"}, listed)
}

func TestSymbolicLinksDoNotLeadOutOfTheRoot(t *testing.T) {
	ctx, outside, root := context.Background(), t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("secret"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(root, "dir")))
	require.NoError(t, os.Symlink(secret, filepath.Join(root, "file")))
	require.NoError(t, os.Symlink("../../"+filepath.Base(outside), filepath.Join(root, "relative")))
	store := open(t, local.Options{Root: root})
	defer store.Close()
	for _, key := range []string{"dir/secret", "file"} {
		_, err := store.Get(ctx, key, 0, -1)
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "get %s: %v", key, err)
		_, err = store.Stat(ctx, key)
		require.Error(t, err, key)
		require.Error(t, store.Copy(ctx, key, "copy"), key)
	}
	for _, key := range []string{"dir/new", "relative/new"} {
		require.Error(t, store.Put(ctx, key, strings.NewReader("x"), 1), key)
	}
	require.Error(t, store.Delete(ctx, "dir/secret"))
	require.NoError(t, store.Delete(ctx, "file"), "the link goes, not what it points to")
	require.NoError(t, store.List(ctx, "", func(o storage.Object) error {
		t.Errorf("listed %s", o.Key)
		return nil
	}))
	content, err := os.ReadFile(secret)
	require.NoError(t, err)
	require.Equal(t, "secret", string(content))
	entries, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	// A put replaces a link itself.
	require.NoError(t, os.Symlink(secret, filepath.Join(root, "link")))
	require.NoError(t, store.Put(ctx, "link", strings.NewReader("own"), 3))
	content, err = os.ReadFile(secret)
	require.NoError(t, err)
	require.Equal(t, "secret", string(content))
}

func TestNothingIsLeftBehind(t *testing.T) {
	ctx, root := context.Background(), t.TempDir()
	store := open(t, local.Options{Root: root})
	defer store.Close()
	require.Error(t, store.Put(ctx, "a/b/c", strings.NewReader("short"), 10))
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	require.Error(t, store.Put(cancelled, "a/b/c", strings.NewReader("x"), 1))
	require.NoError(t, store.Put(ctx, "a/b/c", strings.NewReader("x"), 1))
	require.NoError(t, store.Delete(ctx, "a/b/c"))
	var left []string
	require.NoError(t, filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		left = append(left, strings.TrimPrefix(path, root))
		return err
	}))
	require.Equal(t, []string{"", "/.tmp"}, left)
}

func TestTemporaryFilesOfDeadProcessesAreRemoved(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, ".tmp"), 0o700))
	old, recent := filepath.Join(root, ".tmp", "1-old"), filepath.Join(root, ".tmp", "1-recent")
	for _, path := range []string{old, recent} {
		require.NoError(t, os.WriteFile(path, []byte("half"), 0o600))
	}
	yesterday := time.Now().Add(-25 * time.Hour)
	require.NoError(t, os.Chtimes(old, yesterday, yesterday))
	store := open(t, local.Options{Root: root})
	defer store.Close()
	require.NoFileExists(t, old)
	require.FileExists(t, recent, "another worker may be writing it")
	usage, err := store.Usage(context.Background())
	require.NoError(t, err)
	require.Zero(t, usage.Used, "uploads in flight are no objects")
	require.Positive(t, usage.Available)
}

func TestTheQuotaIsTheSizeOfTheLocation(t *testing.T) {
	limited := open(t, local.Options{Root: t.TempDir(), MaxBytes: 5000})
	defer limited.Close()
	require.NoError(t, limited.Put(t.Context(), "a", strings.NewReader("12345"), 5))
	usage, err := limited.Usage(t.Context())
	require.NoError(t, err)
	require.Equal(t, storage.Usage{Used: 5, Available: 4995, Capacity: 5000}, usage)
	require.False(t, usage.Full(), "a small quota is not full from the beginning")

	whole := open(t, local.Options{Root: t.TempDir()})
	defer whole.Close()
	usage, err = whole.Usage(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, usage.Capacity, usage.Available)
}

func TestANameIsAnObjectOrADirectory(t *testing.T) {
	ctx := context.Background()
	store := open(t, local.Options{Root: t.TempDir()})
	defer store.Close()
	require.NoError(t, store.Put(ctx, "a/b", strings.NewReader("x"), 1))
	for _, key := range []string{"a", "a/b/c", "a/b/c/d"} {
		err := store.Put(ctx, key, strings.NewReader("x"), 1)
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%s: %v", key, err)
	}
}

func TestARootThatIsGoneIsTold(t *testing.T) {
	ctx, root := context.Background(), filepath.Join(t.TempDir(), "root")
	store := open(t, local.Options{Root: root})
	defer store.Close()
	require.NoError(t, os.RemoveAll(root))
	err := store.Put(ctx, "a/b", strings.NewReader("x"), 1)
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err))
	require.Contains(t, failure.Message(err), "put it back")
}
