package archive

import (
	"bytes"
	"context"
	"io"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// discard swallows objects: the benchmark measures the pipeline, not a disk.
type discard struct{ storage.Store }

func (d discard) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	if key == RepositoryKey {
		return d.Store.Put(ctx, key, body, size)
	}
	_, err := io.Copy(io.Discard, body)
	return err
}

const benchBytes = 256 * mib

func BenchmarkWrite(b *testing.B) {
	data := dumpText(1, benchBytes)
	for _, encrypted := range []bool{true, false} {
		for _, compression := range []domain.Compression{domain.CompressionZstd, domain.CompressionLZ4, domain.CompressionGzip, domain.CompressionNone} {
			name := string(compression)
			opts := options(discard{newMemory()})
			opts.Params, opts.Compression, opts.Workers = ParamsFor(benchBytes), compression, 0
			if encrypted {
				name += "+age"
				opts.Recipients = []age.Recipient{identity(b).Recipient()}
			}
			b.Run(name, func(b *testing.B) {
				b.SetBytes(benchBytes)
				for b.Loop() {
					w, err := NewWriter(context.Background(), opts)
					require.NoError(b, err)
					require.NoError(b, w.WriteStream(context.Background(), StreamMeta{Name: "main", Format: "text"}, bytes.NewReader(data)))
				}
			})
		}
	}
}

func BenchmarkRead(b *testing.B) {
	store, id := newMemory(), identity(b)
	opts := options(store, id.Recipient())
	opts.Params = ParamsFor(benchBytes)
	result, _ := backup(b, opts, dumpText(1, benchBytes))
	b.SetBytes(benchBytes)
	for b.Loop() {
		r, err := NewReader(store, result.Manifest, []age.Identity{id}, ReaderOptions{})
		require.NoError(b, err)
		stream, err := r.OpenStream(context.Background(), "main")
		require.NoError(b, err)
		_, err = io.Copy(io.Discard, stream)
		require.NoError(b, err)
		require.NoError(b, stream.Close())
	}
}
