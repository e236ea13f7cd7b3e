package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// FuzzManifest: no document makes the parser panic, nor the unsealing of what it took, and one that it
// takes is one that a Writer could have written: written again it is taken again, and means the same.
func FuzzManifest(f *testing.F) {
	golden, err := os.ReadFile(filepath.Join("testdata", "manifest.golden.json"))
	require.NoError(f, err)
	f.Add(golden)
	f.Add(golden[:len(golden)/2])
	f.Add([]byte(`{"format":"dataguardian-manifest","version":1,"streams":[{"chunks":[4294967295]}],"objects":[[0,"../x",-1,1e99,""]],"mac":""}`))
	f.Add([]byte(`{"format":"dataguardian-manifest","version":99}`))
	id, err := age.ParseX25519Identity(testIdentity)
	require.NoError(f, err)
	sealed, _ := backupWith(f, options(newMemory(), id.Recipient()), map[string]string{"encoding": "UTF8"}, dumpText(1, 3000))
	f.Add([]byte(documentOf(f, sealed.Manifest, func(*Manifest) {})))
	f.Fuzz(func(t *testing.T, document []byte) {
		m, _, err := parseManifest(bytes.NewReader(document))
		if err != nil {
			return
		}
		for i := range m.Objects {
			if _, _, err := parseChunkPath(m.ObjectKey(i)[len(m.directories[m.Objects[i].directory])+1:]); err != nil {
				t.Fatal(err)
			}
		}
		_ = m.Unseal([]age.Identity{id}) // a wrong MAC or secret is an error, whatever it is
		text := documentOf(t, m, func(*Manifest) {})
		again, _, err := parseManifest(strings.NewReader(text))
		require.NoError(t, err)
		require.Equal(t, text, documentOf(t, again, func(*Manifest) {}))
	})
}

// FuzzChunk: no object makes a reader panic, hold more than the recorded size, or return bytes that
// are not the chunk's.
func FuzzChunk(f *testing.F) {
	id, err := age.ParseX25519Identity(testIdentity)
	require.NoError(f, err)
	data := dumpText(1, 1000)
	for kind := range byte(8) {
		store := newMemory()
		opts := fuzzOptions(kind, id)
		opts.Store = store
		result, _ := backup(f, opts, data)
		body, err := store.Get(context.Background(), result.Manifest.ObjectKey(0), 0, -1)
		require.NoError(f, err)
		var object bytes.Buffer
		_, err = object.ReadFrom(body)
		require.NoError(f, err)
		f.Add(kind, object.Bytes())
		f.Add(kind, object.Bytes()[:object.Len()/2])
	}
	f.Fuzz(func(t *testing.T, kind byte, content []byte) {
		store := newMemory()
		opts := fuzzOptions(kind%8, id)
		opts.Store = store
		result, _ := backup(t, opts, data)
		object := &result.Manifest.Objects[0]
		object.StoredBytes = int64(len(content))
		object.Checksum = sha256.Sum256(content)
		require.NoError(t, store.Put(context.Background(), result.Manifest.ObjectKey(0), bytes.NewReader(content), int64(len(content))))
		o := newOpener(&Reader{store: store, manifest: result.Manifest, identities: []age.Identity{id}, keys: deriveKeys(testSecret)})
		defer o.close()
		out := make([]byte, len(data))
		if err := o.fetch(context.Background(), 0, out); err == nil {
			require.Equal(t, data, out)
		}
	})
}

func fuzzOptions(kind byte, id *age.X25519Identity) WriterOptions {
	opts := options(nil)
	opts.Compression = []domain.Compression{domain.CompressionZstd, domain.CompressionGzip, domain.CompressionLZ4, domain.CompressionNone}[kind%4]
	if kind >= 4 {
		opts.Recipients = []age.Recipient{id.Recipient()}
	}
	return opts
}
