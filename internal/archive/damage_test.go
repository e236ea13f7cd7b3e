package archive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/memory"
)

func contentOf(t *testing.T, store storage.Store, key string) []byte {
	t.Helper()
	body, err := store.Get(context.Background(), key, 0, -1)
	require.NoError(t, err)
	content, err := io.ReadAll(body)
	require.NoError(t, err)
	return content
}

func replace(t *testing.T, store storage.Store, key string, content []byte) {
	t.Helper()
	require.NoError(t, store.Put(context.Background(), key, bytes.NewReader(content), int64(len(content))))
}

func TestDamagedObjectsAreFound(t *testing.T) {
	const bad = 7
	cases := map[string]struct {
		damage func(t *testing.T, store *memory.Store, m *Manifest)
		quick  bool // CheckObjects finds it too
	}{
		"an object is missing": {func(t *testing.T, s *memory.Store, m *Manifest) {
			require.NoError(t, s.Delete(context.Background(), m.ObjectKey(bad)))
		}, true},
		"an object is cut off": {func(t *testing.T, s *memory.Store, m *Manifest) {
			content := contentOf(t, s, m.ObjectKey(bad))
			replace(t, s, m.ObjectKey(bad), content[:len(content)-10])
		}, true},
		"an object is empty": {func(t *testing.T, s *memory.Store, m *Manifest) { replace(t, s, m.ObjectKey(bad), nil) }, true},
		"an object has grown": {func(t *testing.T, s *memory.Store, m *Manifest) {
			replace(t, s, m.ObjectKey(bad), append(contentOf(t, s, m.ObjectKey(bad)), 0))
		}, true},
		"one bit flipped": {func(t *testing.T, s *memory.Store, m *Manifest) {
			content := contentOf(t, s, m.ObjectKey(bad))
			content[len(content)/2] ^= 1
			replace(t, s, m.ObjectKey(bad), content)
		}, false},
		"another chunk of the backup is in its place": {func(t *testing.T, s *memory.Store, m *Manifest) {
			content := contentOf(t, s, m.ObjectKey(bad+1))
			size := int(m.Objects[bad].StoredBytes)
			content = append(content, make([]byte, size)...)[:size]
			replace(t, s, m.ObjectKey(bad), content)
		}, false},
	}
	for _, encrypted := range []bool{true, false} {
		for name, c := range cases {
			t.Run(fmt.Sprintf("%s, encrypted %t", name, encrypted), func(t *testing.T) {
				noLeaks(t)
				id, store, data := identity(t), memory.New(0), dumpText(1, 200_000)
				opts := options(store)
				if encrypted {
					opts.Recipients = []age.Recipient{id.Recipient()}
				}
				result, _ := backup(t, opts, data)
				m, ctx := result.Manifest, context.Background()
				c.damage(t, store, m)

				got, err := restore(t, store, "main", id)
				requireCorrupt(t, err, m.ObjectKey(bad))
				var good int64
				for _, chunk := range m.Streams[0].Chunks[:bad] {
					good += m.Objects[chunk].PlainBytes
				}
				require.True(t, bytes.Equal(data[:good], got), "what came before is right, and nothing comes after")
				require.ErrorContains(t, err, fmt.Sprintf("offset %d", good))

				_, _, err = CheckBytes(ctx, store, m, nil)
				requireCorrupt(t, err, m.ObjectKey(bad))
				_, _, err = CheckObjects(ctx, store, m, nil)
				if c.quick {
					requireCorrupt(t, err, m.ObjectKey(bad))
				} else {
					require.NoError(t, err)
				}
			})
		}
	}
}

func requireCorrupt(t *testing.T, err error, key string) {
	t.Helper()
	require.Equal(t, failure.Corrupt, failure.ClassOf(err), "%v", err)
	require.ErrorContains(t, err, key)
	require.NotEmpty(t, failure.HintOf(err))
}

func TestChecksOfAGoodBackup(t *testing.T) {
	ctx, store := context.Background(), newMemory()
	result, _ := backup(t, options(store, identity(t).Recipient()), dumpText(1, 200_000))
	// Chunks of another backup of the generation do not disturb.
	other := ChunkDir(testDir(), "aabbccdd") + "/00/" + strings.Repeat("0", 64) + ".zst.age"
	replace(t, store, other, []byte("x"))
	m, err := OpenManifest(ctx, store, testManifestKey(), result.ManifestSHA256)
	require.NoError(t, err)
	for name, check := range map[string]func(context.Context, storage.Store, *Manifest, Progress) (int64, int64, error){
		"CheckObjects": CheckObjects, "CheckBytes": CheckBytes,
	} {
		var last int64
		objects, size, err := check(ctx, store, m, func(objects, _ int64) { last = objects })
		require.NoError(t, err, name)
		require.Equal(t, int64(len(m.Objects)), objects, name)
		require.Equal(t, m.StoredBytes(), size, name)
		require.Equal(t, objects, last, name)
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		_, _, err = check(cancelled, store, m, nil)
		require.ErrorIs(t, err, context.Canceled, name)
	}
}

func TestAManifestThatWasChangedIsFound(t *testing.T) {
	ctx := context.Background()
	id := identity(t)
	edits := map[string]func(text string) string{
		"a number":              func(s string) string { return strings.Replace(s, `"bytes": 50000`, `"bytes": 50001`, 1) },
		"a name":                func(s string) string { return strings.Replace(s, "Orders DB", "Orders DC", 1) },
		"white space":           func(s string) string { return strings.Replace(s, "  ", "   ", 1) },
		"two chunks swapped":    func(s string) string { return strings.Replace(s, "[0,1,", "[1,0,", 1) },
		"the mac":               func(s string) string { return s[:len(s)-6] + "0" + s[len(s)-5:] },
		"something at the end":  func(s string) string { return s + "\n" },
		"the end is missing":    func(s string) string { return s[:len(s)/2] },
		"everything is missing": func(string) string { return "" },
	}
	for _, encrypted := range []bool{true, false} {
		for name, edit := range edits {
			t.Run(fmt.Sprintf("%s, encrypted %t", name, encrypted), func(t *testing.T) {
				store := newMemory()
				opts := options(store)
				if encrypted {
					opts.Recipients = []age.Recipient{id.Recipient()}
				}
				result, _ := backup(t, opts, dumpText(1, 50_000))
				before := string(contentOf(t, store, testManifestKey()))
				after := edit(before)
				if before == after { // the last digit of the mac was what it is changed to
					after = before[:len(before)-6] + "1" + before[len(before)-5:]
				}
				replace(t, store, testManifestKey(), []byte(after))
				_, err := OpenManifest(ctx, store, testManifestKey(), result.ManifestSHA256)
				require.Equal(t, failure.Corrupt, failure.ClassOf(err), "with the recorded hash: %v", err)
				_, err = restore(t, store, "main", id)
				require.Equal(t, failure.Corrupt, failure.ClassOf(err), "by its mac: %v", err)
			})
		}
	}
}

func TestManifestsThatNoWriterWritesAreRefused(t *testing.T) {
	good, _ := backup(t, options(newMemory()), dumpText(1, 50_000))
	crafted := map[string]func(m *Manifest){
		"a directory that leaves the root": func(m *Manifest) { m.directories[0] = "../x/chunks/y" },
		"a directory of something else":    func(m *Manifest) { m.directories[0] = "orders/backups/x" },
		"a directory twice":                func(m *Manifest) { m.directories = append(m.directories, m.directories[0]) },
		"a directory out of range":         func(m *Manifest) { m.Objects[0].directory = 9 },
		"a negative size":                  func(m *Manifest) { m.Objects[0].PlainBytes = -1 },
		"a size beyond the longest chunk":  func(m *Manifest) { m.Objects[0].PlainBytes = 1 << 40 },
		"a stored size that is too large":  func(m *Manifest) { m.Objects[0].StoredBytes = 1 << 40 },
		"a chunk out of range":             func(m *Manifest) { m.Streams[0].Chunks[0] = 1 << 30 },
		"a wrong total":                    func(m *Manifest) { m.Streams[0].Bytes++ },
		"a stream twice":                   func(m *Manifest) { m.Streams = append(m.Streams, m.Streams[0]) },
		"a stream without a name":          func(m *Manifest) { m.Streams[0].Name = "" },
		"an object twice":                  func(m *Manifest) { m.Objects[1] = m.Objects[0] },
		"huge chunks":                      func(m *Manifest) { m.Params.Max = 1 << 40 },
		"an unencrypted object in an encrypted backup": func(m *Manifest) {
			m.Recipients, m.secret = []string{"age1x"}, sealedSecret{Age: []byte{1}}
		},
		"a plain secret in an encrypted backup": func(m *Manifest) { m.Recipients = []string{"age1x"} },
		"an unknown compression":                func(m *Manifest) { m.Compression = "rot13" },
	}
	for name, change := range crafted {
		t.Run(name, func(t *testing.T) {
			_, _, err := parseManifest(strings.NewReader(documentOf(t, good.Manifest, change)))
			require.Error(t, err)
		})
	}
	_, _, err := parseManifest(strings.NewReader(documentOf(t, good.Manifest, func(*Manifest) {})))
	require.NoError(t, err, "the document is good before it is changed")
}

// documentOf writes a changed copy of a manifest with a correct MAC.
func documentOf(t testing.TB, m *Manifest, change func(*Manifest)) string {
	t.Helper()
	c := *m
	c.directories = append([]string{}, m.directories...)
	c.Objects = append([]Object{}, m.Objects...)
	c.Streams = append([]Stream{}, m.Streams...)
	for i := range c.Streams {
		c.Streams[i].Chunks = append([]uint32{}, m.Streams[i].Chunks...)
	}
	change(&c)
	var text strings.Builder
	for piece, err := range c.pieces(deriveKeys(testSecret).manifest) {
		require.NoError(t, err)
		text.Write(piece)
	}
	return text.String()
}

func TestANewerManifestIsUnsupported(t *testing.T) {
	store := newMemory()
	backup(t, options(store), dumpText(1, 50_000))
	text := string(contentOf(t, store, testManifestKey()))
	replace(t, store, testManifestKey(), []byte(strings.Replace(text, `"version": 1`, `"version": 2, "new": {}`, 1)))
	_, err := OpenManifest(context.Background(), store, testManifestKey(), "")
	require.Equal(t, failure.Unsupported, failure.ClassOf(err), "%v", err)
	_, err = OpenManifest(context.Background(), store, "nowhere/manifest.json", "")
	require.Equal(t, failure.NotFound, failure.ClassOf(err))
}

func TestTheRepositoryDocument(t *testing.T) {
	ctx, store := context.Background(), newMemory()
	first, err := EnsureRepository(ctx, store)
	require.NoError(t, err)
	second, err := EnsureRepository(ctx, store)
	require.NoError(t, err)
	require.Equal(t, first, second, "it is written once")
	for document, class := range map[string]failure.Class{
		`{"format": "dataguardian-repository", "version": 2}`: failure.Unsupported,
		`{"format": "other", "version": 1}`:                   failure.Unsupported,
		`{"for`:                                               failure.Corrupt,
	} {
		replace(t, store, RepositoryKey, []byte(document))
		_, err := NewWriter(ctx, options(store))
		require.Equal(t, class, failure.ClassOf(err), document)
	}
}

func TestADecompressionBombStopsAtTheRecordedSize(t *testing.T) {
	store := newMemory()
	opts := options(store)
	opts.Params = Params{Average: mib, Min: mib / 4, Max: 2 * mib}
	result, _ := backup(t, opts, make([]byte, 2*mib))
	document := documentOf(t, result.Manifest, func(m *Manifest) {
		m.Objects[0].PlainBytes = 1000
		m.Streams[0].Bytes = 1000
		m.Streams[0].Chunks = []uint32{0}
		m.Objects = m.Objects[:1]
	})
	replace(t, store, testManifestKey(), []byte(document))
	got, err := restore(t, store, "main")
	requireCorrupt(t, err, result.Manifest.ObjectKey(0))
	require.ErrorContains(t, err, "more than the 1000 bytes")
	require.Empty(t, got)
}

func TestWrongOptionsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*WriterOptions){
		"no secret":             func(o *WriterOptions) { o.Secret = [32]byte{} },
		"a directory with dots": func(o *WriterOptions) { o.DatasourceDir = "../x" },
		"a generation of paths": func(o *WriterOptions) { o.Generation = "a/b" },
		"no generation":         func(o *WriterOptions) { o.Generation = "" },
		"unknown compression":   func(o *WriterOptions) { o.Compression = "rar" },
		"sizes out of order":    func(o *WriterOptions) { o.Params.Max = o.Params.Min },
	} {
		opts := options(newMemory())
		change(&opts)
		_, err := NewWriter(context.Background(), opts)
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), name)
	}
	w, err := NewWriter(context.Background(), options(newMemory()))
	require.NoError(t, err)
	_, err = w.Commit(context.Background(), testHeader(), testManifestKey())
	require.ErrorContains(t, err, "no stream")
}
