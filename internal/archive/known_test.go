package archive

import (
	"bytes"
	"context"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
)

const incrementExecution = "0198c0de-0000-7000-8000-00001122eeff"

// contents is everything that is in a store.
func contents(t *testing.T, store storage.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	var keys []string
	require.NoError(t, store.List(context.Background(), "", func(o storage.Object) error {
		keys = append(keys, o.Key)
		return nil
	}))
	for _, key := range keys {
		all[key] = string(contentOf(t, store, key))
	}
	return all
}

// readBack is the stream "main" of a backup.
func readBack(t *testing.T, store storage.Store, m *Manifest, identities ...age.Identity) []byte {
	t.Helper()
	r, err := NewReader(store, m, identities, ReaderOptions{})
	require.NoError(t, err)
	stream, err := r.OpenStream(context.Background(), "main")
	require.NoError(t, err)
	defer func() { require.NoError(t, stream.Close()) }()
	data, err := io.ReadAll(stream)
	require.NoError(t, err)
	return data
}

func TestEveryExecutionAndAttemptHasAFolderOfItsOwn(t *testing.T) {
	full, other := testExecution, incrementExecution
	require.Equal(t, "aabbccdd", FolderOf("aabbccdd", full, 1))
	require.Equal(t, "aabbccdd-3", FolderOf("aabbccdd", full, 3))
	require.Equal(t, "aabbccdd-1122eeff", FolderOf("aabbccdd", other, 1))
	require.Equal(t, "aabbccdd-1122eeff-12", FolderOf("aabbccdd", other, 12))
	for _, c := range []struct {
		folder, execution string
		own               bool
	}{
		{"aabbccdd", full, true}, {"aabbccdd-2", full, true}, {"aabbccdd-1234567", full, true},
		{"aabbccdd-12345678", full, false}, {"aabbccdd-1122eeff", full, false}, {"aabbccdd-1122eeff-2", full, false},
		{"aabbccdde", full, false}, {"aabbccdd-", full, false}, {"aabbccdd-02", full, false}, {"", full, false},
		{"aabbccdd-1122eeff", other, true}, {"aabbccdd-1122eeff-2", other, true},
		{"aabbccdd", other, false}, {"aabbccdd-2", other, false}, {"aabbccdd-1122eef", other, false},
	} {
		require.Equal(t, c.own, OwnFolder(c.folder, "aabbccdd", c.execution), "%q of %s", c.folder, c.execution)
	}
	require.Equal(t, "aabbccdd-2", FolderIn("orders-1", "orders-1/chunks/aabbccdd-2/00/00ff.zst"))
	for _, key := range []string{"orders-1/chunks/aabbccdd", "orders-2/chunks/aabbccdd/00/00ff", "orders-1/backups/x/manifest.json", ""} {
		require.Empty(t, FolderIn("orders-1", key), key)
	}
}

func TestAnIncrementStoresOnlyWhatChangedInAFolderOfItsOwn(t *testing.T) {
	ctx, store, id := context.Background(), faulty.New(newMemory()), identity(t)
	data := dumpText(1, 400_000)
	opts := options(store, id.Recipient())
	full, _ := backup(t, opts, data)
	before := contents(t, store)

	parent, err := OpenManifest(ctx, store, testManifestKey(), full.ManifestSHA256)
	require.NoError(t, err)
	secret, err := parent.Secret([]age.Identity{id})
	require.NoError(t, err)
	require.Equal(t, testSecret, secret)
	known := new(KnownChunks)
	require.NoError(t, known.AddManifest(parent, testDir()))
	require.NoError(t, known.Confirm(ctx, store, testDir(), domain.CompressionZstd, true))
	require.Equal(t, len(parent.Objects), known.Len())

	opts.Secret, opts.Known, opts.Parent, opts.Folder = secret, known, testExecution, FolderOf("aabbccdd", incrementExecution, 1)
	opts.Store = store
	changed := slices.Concat(data[:200_000], []byte("a new row\n"), data[200_000:])
	w, err := NewWriter(ctx, opts)
	require.NoError(t, err)
	require.NoError(t, w.WriteStream(ctx, StreamMeta{Name: "main", Format: "text"}, bytes.NewReader(changed)))
	key := ManifestKey(testDir(), testStart.Add(1), incrementExecution, 1)
	result, err := w.Commit(ctx, testHeader(), key)
	require.NoError(t, err)
	require.Zero(t, store.Calls(faulty.Stat), "presence is one listing, not a question for each chunk")

	added := 0
	for i := range result.Manifest.Objects {
		if folder := result.Manifest.Folder(i); folder == opts.Folder {
			added++
		} else {
			require.Equal(t, "aabbccdd", folder)
		}
	}
	require.Positive(t, added)
	require.LessOrEqual(t, added, 4)
	require.Equal(t, testExecution, result.Manifest.Parent)
	after := contents(t, store)
	for key, content := range before {
		require.Equal(t, content, after[key], "%s was changed", key)
	}
	require.Len(t, after, len(before)+added+1)

	m, err := OpenManifest(ctx, store, key, result.ManifestSHA256)
	require.NoError(t, err)
	_, _, err = CheckBytes(ctx, store, m, nil)
	require.NoError(t, err)
	require.Equal(t, changed, readBack(t, store, m, id))
}

func TestOnlyKnownChunksThatAreReallyThereAreReused(t *testing.T) {
	ctx, store := context.Background(), newMemory()
	full, _ := backup(t, options(store), dumpText(1, 400_000))
	m := full.Manifest
	require.Greater(t, len(m.Objects), 10)
	require.NoError(t, store.Delete(ctx, m.ObjectKey(3)))
	replace(t, store, m.ObjectKey(5), []byte("short"))

	known := new(KnownChunks)
	require.NoError(t, known.AddManifest(m, testDir()))
	// The same chunk in a second folder, where it is whole.
	spare := m.Objects[5].StoredChunk
	spare.Folder = "aabbccdd-2"
	replace(t, store, ChunkDir(testDir(), "aabbccdd-2")+"/"+chunkPath(spare.ID, m.Objects[5].encoding), make([]byte, spare.StoredBytes))
	require.NoError(t, known.Add(spare))
	require.NoError(t, known.Confirm(ctx, store, testDir(), domain.CompressionZstd, false))
	require.Equal(t, len(m.Objects)-1, known.Len())
	_, found := known.get(m.Objects[3].ID)
	require.False(t, found, "it is not there")
	got, found := known.get(m.Objects[5].ID)
	require.True(t, found)
	require.Equal(t, spare, got)
	want := m.Objects[7].StoredChunk
	want.Folder = m.Folder(7)
	got, found = known.get(want.ID)
	require.True(t, found)
	require.Equal(t, want, got)

	for name, confirm := range map[string]func(k *KnownChunks) error{
		"another compression": func(k *KnownChunks) error { return k.Confirm(ctx, store, testDir(), domain.CompressionGzip, false) },
		"encrypted":           func(k *KnownChunks) error { return k.Confirm(ctx, store, testDir(), domain.CompressionZstd, true) },
		"another directory":   func(k *KnownChunks) error { return k.Confirm(ctx, store, "other-1", domain.CompressionZstd, false) },
	} {
		other := new(KnownChunks)
		require.NoError(t, other.AddManifest(m, testDir()))
		require.NoError(t, confirm(other), name)
		require.Zero(t, other.Len(), name)
	}
	elsewhere := new(KnownChunks)
	require.NoError(t, elsewhere.AddManifest(m, "other-1"))
	require.Zero(t, elsewhere.Len(), "a manifest's chunks of another directory can not be named")
	require.Error(t, new(KnownChunks).Add(StoredChunk{Folder: "x", PlainBytes: 1 << 40, StoredBytes: 1}))
	_, found = (*KnownChunks)(nil).get(want.ID)
	require.False(t, found)
}

func TestOnlySizesOfTheTableAreCurrent(t *testing.T) {
	for _, size := range []int64{0, 5 * gib, 100 * gib, 3 * tib} {
		require.True(t, ParamsFor(size).Current())
	}
	require.False(t, small.Current())
	require.False(t, Params{Average: 1 * mib, Min: 256 * kib, Max: 4 * mib}.Current())
	require.True(t, strings.HasSuffix(path.Dir(ChunkDir("a", "b")), "/chunks"))
}
