package storagetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

const (
	quota = 1000
	small = 8 << 20
)

func (s suite) testQuota(t *testing.T, store storage.Store) {
	ctx := context.Background()
	put(t, store, "a", strings.Repeat("a", 600))
	for range 2 {
		s.requireFull(t, store.Put(ctx, "b", bytes.NewReader(make([]byte, 600)), 600))
	}
	s.requireFull(t, store.Copy(ctx, "a", "b"))
	require.Equal(t, []string{"a"}, list(t, store, ""))
	put(t, store, "b", strings.Repeat("b", 400))
	require.Error(t, store.Put(ctx, "c", strings.NewReader("c"), 1))
	usage, err := store.Usage(ctx)
	require.NoError(t, err)
	require.Equal(t, storage.Usage{Used: quota, Available: 0, Capacity: quota}, usage)
	require.NoError(t, store.Delete(ctx, "a"))
	put(t, store, "c", strings.Repeat("c", 600))
}

// testFull fills the device itself.
func (s suite) testFull(t *testing.T, store storage.Store) {
	ctx := context.Background()
	put(t, store, "kept", "as it was")
	for range 2 {
		for _, key := range []string{"fresh", "kept"} {
			s.requireFull(t, store.Put(ctx, key, bytes.NewReader(make([]byte, small)), small))
			s.requireFull(t, store.Put(ctx, key, struct{ io.Reader }{bytes.NewReader(make([]byte, small))}, small))
		}
	}
	require.Equal(t, []string{"kept"}, list(t, store, ""), "what did not fit is gone")
	require.Equal(t, "as it was", get(t, store, "kept", 0, -1))
	for i := range 20 { // only if nothing of them was left behind
		put(t, store, fmt.Sprintf("small/%d", i), strings.Repeat("x", small/100))
	}
	require.NoError(t, store.Sync(ctx))
}

func (s suite) requireFull(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, storage.ErrFull)
	require.Equal(t, failure.StorageFull, failure.ClassOf(err))
	require.NotEmpty(t, failure.HintOf(err))
	s.harmless(t, err)
}
