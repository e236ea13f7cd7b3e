package archive

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/local"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden compares got with the file, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func openLocal(t *testing.T, root string) *local.Store {
	t.Helper()
	store, err := local.Open(context.Background(), local.Options{Root: root})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// Boundaries and ids decide what an incremental backup can reuse: they must never change for the
// same secret, sizes and content.
func TestBoundariesAndIdsStayTheSame(t *testing.T) {
	opts := options(newMemory())
	opts.Params, opts.Workers = ParamsFor(0), 4
	result, _ := backup(t, opts, dumpText(1, 6*mib))
	var text strings.Builder
	for _, chunk := range result.Manifest.Streams[0].Chunks {
		o := result.Manifest.Objects[chunk]
		fmt.Fprintf(&text, "%d %s\n", o.PlainBytes, o.ID)
	}
	golden(t, "chunks.golden", text.String())

	opts.Store, opts.Secret = newMemory(), [32]byte{9}
	other, _ := backup(t, opts, dumpText(1, 6*mib))
	require.NotEqual(t, result.Manifest.Objects[0].PlainBytes, other.Manifest.Objects[0].PlainBytes, "boundaries depend on the secret")
	require.NotEqual(t, result.Manifest.Objects[0].ID, other.Manifest.Objects[0].ID)
}

func TestAnInsertionChangesOnlyTheChunksAroundIt(t *testing.T) {
	data := dumpText(1, 400_000)
	first, _ := backup(t, options(newMemory()), data)
	changed := append(append(append([]byte{}, data[:200_000]...), "a new row\n"...), data[200_000:]...)
	second, _ := backup(t, options(newMemory()), changed)
	old := map[ChunkID]bool{}
	for _, o := range first.Manifest.Objects {
		old[o.ID] = true
	}
	fresh := 0
	for _, o := range second.Manifest.Objects {
		if !old[o.ID] {
			fresh++
		}
	}
	require.LessOrEqual(t, fresh, 4, "of %d chunks", len(second.Manifest.Objects))
}

// Without encryption and compression every byte of a backup is decided by its input.
func TestTheManifestStaysTheSame(t *testing.T) {
	store := newMemory()
	opts := options(store)
	opts.Compression, opts.Workers = domain.CompressionNone, 4
	ctx := context.Background()
	w, err := NewWriter(ctx, opts)
	require.NoError(t, err)
	properties := map[string]string{"encoding": "UTF8", "database": "orders"}
	require.NoError(t, w.WriteStream(ctx, StreamMeta{Name: "orders", Format: "pg_dump-custom", Properties: properties}, bytes.NewReader(dumpText(1, 40_000))))
	require.NoError(t, w.WriteStream(ctx, StreamMeta{Name: "globals", Format: "sql"}, bytes.NewReader(nil)))
	require.NoError(t, w.WriteStream(ctx, StreamMeta{Name: "again", Format: "sql"}, bytes.NewReader(dumpText(1, 40_000))))
	_, err = w.Commit(ctx, testHeader(), testManifestKey())
	require.NoError(t, err)
	golden(t, "manifest.golden.json", string(contentOf(t, store, testManifestKey())))
}

// The repository in testdata was written by the first version of the format. It must always read
// back; -update writes it anew, which only a new format version justifies.
func TestTheFirstRepositoryReadsBack(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("testdata", "repository"))
	require.NoError(t, err)
	id, err := age.ParseX25519Identity(testIdentity)
	require.NoError(t, err)
	data, properties := dumpText(7, 30_000), map[string]string{"encoding": "UTF8", "database": "orders"}
	if *update {
		require.NoError(t, os.RemoveAll(root))
		require.NoError(t, os.MkdirAll(root, 0o755))
		backupWith(t, options(openLocal(t, root), id.Recipient()), properties, data)
		require.NoError(t, os.RemoveAll(filepath.Join(root, storage.Reserved)))
	}
	store := openLocal(t, root)
	got, err := restore(t, store, "main", id)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
	m, err := OpenManifest(context.Background(), store, testManifestKey(), "")
	require.NoError(t, err)
	require.Equal(t, testHeader(), m.Header)
	require.NoError(t, m.Unseal([]age.Identity{id}))
	require.Equal(t, properties, m.Streams[0].Properties)
	_, _, err = CheckObjects(context.Background(), store, m, nil)
	require.NoError(t, err)
}
