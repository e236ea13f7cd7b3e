package archive

import (
	"bytes"
	"context"
	"io"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage/memory"
)

func TestAStreamIsReadFromAnyOffset(t *testing.T) {
	store, data := memory.New(0), dumpText(7, 60_000)
	result, _ := backup(t, options(store), data)
	r, err := NewReader(store, result.Manifest, nil, ReaderOptions{})
	require.NoError(t, err)
	first := int(result.Manifest.Objects[0].PlainBytes)
	for _, offset := range []int{0, 1, first - 1, first, first + 1, len(data) / 2, len(data) - 1, len(data)} {
		stream, err := r.OpenStreamAt(context.Background(), "main", int64(offset))
		require.NoError(t, err)
		got, err := io.ReadAll(stream)
		require.NoError(t, err)
		require.NoError(t, stream.Close())
		require.True(t, bytes.Equal(data[offset:], got), "from offset %d", offset)
	}
	for _, offset := range []int64{-1, int64(len(data)) + 1} {
		_, err := r.OpenStreamAt(context.Background(), "main", offset)
		require.Equal(t, failure.NotFound, failure.ClassOf(err))
	}
}

// addingReader adds a property when it ends, as an engine does that learns something from the data.
type addingReader struct {
	io.Reader
	properties map[string]string
}

func (a addingReader) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if err == io.EOF {
		a.properties["learned"] = "late"
	}
	return n, err
}

func TestPropertiesThatTheDataToldAreStored(t *testing.T) {
	id := identity(t)
	for name, recipients := range map[string][]age.Recipient{"plain": nil, "sealed": {id.Recipient()}} {
		t.Run(name, func(t *testing.T) {
			ctx, store := context.Background(), memory.New(0)
			w, err := NewWriter(ctx, options(store, recipients...))
			require.NoError(t, err)
			properties := map[string]string{"known": "early"}
			require.NoError(t, w.WriteStream(ctx, StreamMeta{Name: "main", Format: "text", Properties: properties},
				addingReader{bytes.NewReader(dumpText(1, 5000)), properties}))
			_, err = w.Commit(ctx, testHeader(), testManifestKey())
			require.NoError(t, err)
			m, err := OpenManifest(ctx, store, testManifestKey(), "")
			require.NoError(t, err)
			require.NoError(t, m.Unseal([]age.Identity{id}))
			require.Equal(t, map[string]string{"known": "early", "learned": "late"}, m.Streams[0].Properties)
		})
	}
}
