package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage/s3"
)

const large = 13<<20 + 7 // three parts

func random(size int) []byte {
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(content)
	return content
}

func read(t *testing.T, store *s3.Store, key string) []byte {
	t.Helper()
	body, err := store.Get(context.Background(), key, 0, -1)
	require.NoError(t, err)
	defer body.Close()
	content, err := io.ReadAll(body)
	require.NoError(t, err)
	return content
}

// noUploads checks that no parts of an upload were left behind.
func noUploads(t *testing.T, bucket string) {
	t.Helper()
	out, err := server.Client().ListMultipartUploads(context.Background(), &sdk.ListMultipartUploadsInput{Bucket: &bucket})
	require.NoError(t, err)
	require.Empty(t, out.Uploads)
}

// seekOnly hides that a body can be read at any place, readOnly that it can be read again.
type (
	seekOnly struct{ io.ReadSeeker }
	readOnly struct{ io.Reader }
)

func TestLargeBodiesGoInPartsWhateverTheyAre(t *testing.T) {
	t.Parallel()
	content := random(large)
	for _, kind := range []domain.StorageLocationType{domain.StorageS3, domain.StorageMinIO} { // signed bodies, and checksums
		for name, body := range map[string]func() io.Reader{
			"a body that can be read anywhere": func() io.Reader { return bytes.NewReader(content) },
			"a body that can be read again":    func() io.Reader { return seekOnly{bytes.NewReader(content)} },
			"a body that is read once":         func() io.Reader { return readOnly{bytes.NewReader(content)} },
			"a body that does not start at 0": func() io.Reader {
				whole := bytes.NewReader(append([]byte("before"), content...))
				_, _ = whole.Seek(6, io.SeekStart)
				return whole
			},
		} {
			t.Run(string(kind)+": "+name, func(t *testing.T) {
				in := bucket(t, server)
				store := open(t, options(t, kind, server, in, "")).WithSmallLimits()
				require.NoError(t, store.Put(t.Context(), "key", body(), large))
				require.Equal(t, content, read(t, store, "key"))
				require.NoError(t, store.Copy(t.Context(), "key", "copied in parts +%?"))
				require.Equal(t, content, read(t, store, "copied in parts +%?"))
				put(t, store, "é +%/&?", "small")
				require.NoError(t, store.Copy(t.Context(), "é +%/&?", "key"))
				require.Equal(t, "small", string(read(t, store, "key")))
				require.NoError(t, store.Copy(t.Context(), "copied in parts +%?", "é +%/&?"))
				require.Equal(t, content, read(t, store, "é +%/&?"))

				for _, size := range []int64{large - 1, large + 1} {
					require.Error(t, store.Put(t.Context(), "wrong", body(), size), size)
				}
				keys := list(t, store)
				require.Equal(t, []string{"copied in parts +%?", "key", "é +%/&?"}, keys)
				noUploads(t, in)
			})
		}
	}
}

func TestSmallBodiesThatDoNotStartAtZeroAreSentFromWhereTheyStand(t *testing.T) {
	t.Parallel()
	store := open(t, options(t, domain.StorageS3, server, bucket(t, server), ""))
	body := bytes.NewReader([]byte("skipped wanted"))
	_, err := body.Seek(8, io.SeekStart)
	require.NoError(t, err)
	require.NoError(t, store.Put(t.Context(), "key", body, 6))
	require.Equal(t, "wanted", string(read(t, store, "key")))
}

// breaking ends after some bytes by what end does.
type breaking struct {
	io.Reader
	end func() error
}

func (b *breaking) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = b.end()
	}
	return n, err
}

func TestAnUploadInPartsThatFailsLeavesNoParts(t *testing.T) {
	t.Parallel()
	broken := errors.New("the source broke")
	for name, test := range map[string]struct {
		end  func(cancel func()) error
		want error
	}{
		"the source breaks":       {func(func()) error { return broken }, broken},
		"the caller cancels":      {func(cancel func()) error { cancel(); return io.EOF }, context.Canceled},
		"the source is too short": {func(func()) error { return io.EOF }, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			in := bucket(t, server)
			store := open(t, options(t, domain.StorageMinIO, server, in, "")).WithSmallLimits()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			body := &breaking{bytes.NewReader(random(11 << 20)), func() error { return test.end(cancel) }}
			require.ErrorIs(t, store.Put(ctx, "key", body, large), test.want)
			require.Empty(t, list(t, store))
			noUploads(t, in)
		})
	}
}

func TestManyObjectsAreDeletedWithOneRequest(t *testing.T) {
	t.Parallel()
	for _, kind := range []domain.StorageLocationType{domain.StorageMinIO, domain.StorageBackblaze} { // both kinds of checksum
		store := open(t, options(t, kind, server, bucket(t, server), "pre/fix"))
		var keys []string
		for i := range 30 {
			keys = append(keys, fmt.Sprintf("d/%d odd+&<é>", i))
			put(t, store, keys[i], "x")
		}
		put(t, store, "kept", "x")
		require.NoError(t, store.DeleteMany(t.Context(), append(keys, "never there")))
		require.Equal(t, []string{"kept"}, list(t, store))
	}
}
