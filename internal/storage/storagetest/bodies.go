package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

func (s suite) testBodies(t *testing.T, store storage.Store) {
	const content = "the whole body"
	seeker := strings.NewReader("before" + content)
	_, err := seeker.Seek(int64(len("before")), io.SeekStart)
	require.NoError(t, err)
	for name, body := range map[string]io.Reader{
		"a seeker that does not stand at its start":       seeker,
		"a reader that can not seek":                      iotest.DataErrReader(strings.NewReader(content)),
		"a reader that gives one byte at a time":          iotest.OneByteReader(strings.NewReader(content)),
		"a reader that ends together with its last bytes": iotest.DataErrReader(iotest.HalfReader(strings.NewReader(content))),
		"a buffer": bytes.NewBufferString(content),
	} {
		require.NoError(t, store.Put(context.Background(), "body", body, int64(len(content))), name)
		require.Equal(t, content, get(t, store, "body", 0, -1), name)
		require.NoError(t, store.Delete(context.Background(), "body"), name)
	}
}

// testBodyLeftAlone knows that callers use a body's memory again as soon as Put returned, also if it
// returned because it was cancelled.
func (s suite) testBodyLeftAlone(t *testing.T, store storage.Store) {
	const size = 12 << 20
	for name, cancelAt := range map[string]int64{"stored": -1, "cancelled at once": 0, "cancelled in the middle": size / 2} {
		ctx, cancel := context.WithCancel(context.Background())
		body := &watched{t: t, r: bytes.NewReader(make([]byte, size)), at: cancelAt, cancel: cancel}
		err := store.Put(ctx, "k", body, size)
		body.over.Store(true)
		cancel()
		if cancelAt < 0 {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, context.Canceled, name)
		}
	}
	require.Equal(t, []string{"k"}, list(t, store, ""))
}

// watched is a body that cancels when it was read up to at, and fails the test if it is read when
// the put is over.
type watched struct {
	t      *testing.T
	r      *bytes.Reader
	at     int64
	cancel func()
	over   atomic.Bool
	read   int64
}

func (w *watched) Read(p []byte) (int, error) {
	if w.over.Load() {
		w.t.Error("the body was read after Put returned")
		return 0, io.ErrClosedPipe
	}
	n, err := w.r.Read(p[:min(len(p), 64<<10)])
	if w.read += int64(n); w.at >= 0 && w.read >= w.at {
		w.cancel()
	}
	return n, err
}

func (s suite) testWrongLength(t *testing.T, store storage.Store) {
	ctx := context.Background()
	put(t, store, "kept", "as it was")
	for _, key := range []string{"fresh", "kept"} {
		for name, size := range map[string]int64{"too short": 6, "too long": 4} {
			require.Error(t, store.Put(ctx, key, strings.NewReader("12345"), size), "%s %s", key, name)
			require.Error(t, store.Put(ctx, key, io.LimitReader(strings.NewReader("12345"), 5), size), "%s %s", key, name)
		}
		require.Error(t, store.Put(ctx, key, bytes.NewReader(make([]byte, 12<<20)), 12<<20+1), "%s: too short by a byte", key)
		require.Error(t, store.Put(ctx, key, bytes.NewReader(make([]byte, 12<<20)), 12<<20-1), "%s: too long by a byte", key)
		require.Error(t, store.Put(ctx, key, strings.NewReader("1"), 0), "%s: a byte where none is announced", key)
	}
	require.Equal(t, []string{"kept"}, list(t, store, ""))
	require.Equal(t, "as it was", get(t, store, "kept", 0, -1))
}

func (s suite) testFailingBody(t *testing.T, store storage.Store) {
	broken := errors.New("the source broke")
	classified := failure.New(failure.Corrupt, "read source", "it is damaged", "")
	put(t, store, "kept", "as it was")
	for _, key := range []string{"fresh", "kept"} {
		for _, want := range []error{broken, classified} {
			body := io.MultiReader(strings.NewReader("some"), &failing{err: want})
			require.ErrorIs(t, store.Put(context.Background(), key, body, 10), want)
			large := io.MultiReader(bytes.NewReader(make([]byte, 12<<20)), &failing{err: want})
			require.ErrorIs(t, store.Put(context.Background(), key, large, 20<<20), want)
		}
	}
	require.Equal(t, []string{"kept"}, list(t, store, ""))
	require.Equal(t, "as it was", get(t, store, "kept", 0, -1))
}

type failing struct {
	err    error
	before func()
}

func (f *failing) Read([]byte) (int, error) {
	if f.before != nil {
		f.before()
	}
	return 0, f.err
}
