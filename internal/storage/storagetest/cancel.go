package storagetest

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

func (s suite) testCancelledPut(t *testing.T, store storage.Store) {
	put(t, store, "kept", "as it was")
	for _, key := range []string{"fresh", "kept"} {
		ctx, cancel := context.WithCancel(context.Background())
		body := io.MultiReader(strings.NewReader("some"), &failing{err: io.EOF, before: cancel})
		require.ErrorIs(t, store.Put(ctx, key, body, 4), context.Canceled, key)
	}
	require.Equal(t, []string{"kept"}, list(t, store, ""))
	require.Equal(t, "as it was", get(t, store, "kept", 0, -1))
}

func (s suite) testCancelled(t *testing.T, store storage.Store) {
	put(t, store, "k", "x")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for method, err := range s.everyMethod(ctx, store) {
		require.ErrorIs(t, err, context.Canceled, method)
	}
	require.Equal(t, []string{"k"}, list(t, store, ""))
}

func (s suite) testDeadline(t *testing.T, store storage.Store) {
	put(t, store, "k", "x")
	ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	for method, err := range s.everyMethod(ctx, store) {
		require.Equal(t, failure.Timeout, failure.ClassOf(err), "%s: %v", method, err)
	}
	require.Equal(t, []string{"k"}, list(t, store, ""))
}

// everyMethod calls every method of a store that has an object k, and returns their errors.
func (s suite) everyMethod(ctx context.Context, store storage.Store) map[string]error {
	body, getErr := store.Get(ctx, "k", 0, -1)
	if getErr == nil {
		_, getErr = io.Copy(io.Discard, body)
		getErr = errors.Join(getErr, body.Close())
	}
	_, statErr := store.Stat(ctx, "k")
	_, usageErr := store.Usage(ctx)
	return map[string]error{
		"put": store.Put(ctx, "new", strings.NewReader("x"), 1), "get": getErr, "stat": statErr,
		"copy": store.Copy(ctx, "k", "new"), "usage": usageErr, "sync": store.Sync(ctx),
		"list": store.List(ctx, "", func(storage.Object) error { return nil }), "delete": store.Delete(ctx, "k"),
	}
}

func (s suite) testCancelledRead(t *testing.T, store storage.Store) {
	put(t, store, "k", strings.Repeat("x", 1<<20))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	body, err := store.Get(ctx, "k", 0, -1)
	require.NoError(t, err)
	defer body.Close()
	_, err = io.ReadFull(body, make([]byte, 10))
	require.NoError(t, err)
	cancel()
	_, err = io.Copy(io.Discard, body)
	require.ErrorIs(t, err, context.Canceled)
}
