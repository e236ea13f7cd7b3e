package storagetest

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// testReadOnly knows that a location that may only be read is still one to restore from.
func (s suite) testReadOnly(t *testing.T) {
	ctx := context.Background()
	store := s.own(t, s.OpenReadOnly(t, map[string]string{"dir/kept": "as it was", "other": "too"}))
	unchanged := func() {
		t.Helper()
		require.Equal(t, []string{"dir/kept", "other"}, list(t, store, ""))
		require.Equal(t, "as it was", get(t, store, "dir/kept", 0, -1))
		object, err := store.Stat(ctx, "dir/kept")
		require.NoError(t, err)
		require.Equal(t, int64(len("as it was")), object.Size)
		_, err = store.Usage(ctx)
		require.NoError(t, err)
		require.NoError(t, store.Sync(ctx), "there is nothing to make durable")
	}
	unchanged()
	for what, refused := range map[string]func() error{
		"put a new object":       func() error { return store.Put(ctx, "new", strings.NewReader("x"), 1) },
		"put into a directory":   func() error { return store.Put(ctx, "dir/new", strings.NewReader("x"), 1) },
		"make a directory":       func() error { return store.Put(ctx, "more/new", strings.NewReader("x"), 1) },
		"replace an object":      func() error { return store.Put(ctx, "dir/kept", strings.NewReader("x"), 1) },
		"put a large object":     func() error { return store.Put(ctx, "new", bytes.NewReader(make([]byte, 12<<20)), 12<<20) },
		"put what can not seek":  func() error { return store.Put(ctx, "new", struct{ io.Reader }{strings.NewReader("x")}, 1) },
		"copy to a new object":   func() error { return store.Copy(ctx, "other", "new") },
		"copy onto another":      func() error { return store.Copy(ctx, "other", "dir/kept") },
		"delete an object":       func() error { return store.Delete(ctx, "other") },
		"delete in a directory":  func() error { return store.Delete(ctx, "dir/kept") },
		"put where an object is": func() error { return store.Put(ctx, "other", strings.NewReader("x"), 1) },
	} {
		err := refused()
		require.Equal(t, failure.AuthFailed, failure.ClassOf(err), "%s: %v", what, err)
		require.NotEmpty(t, failure.HintOf(err), what)
		s.harmless(t, err)
	}
	unchanged()
	_, err := store.Get(ctx, "missing", 0, -1)
	require.ErrorIs(t, err, storage.ErrNotFound, "what is missing is not forbidden")
}
