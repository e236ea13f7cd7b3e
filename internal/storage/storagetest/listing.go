package storagetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/storage"
)

func testListOrder(t *testing.T, store storage.Store) {
	// A dot sorts before a slash and a digit behind it: walking directories by name gets this wrong.
	keys := []string{"a/b", "a.b", "a0", "a/b0", "a/b/c", "a-/x", "a/b.c", "a!", "a/~", "b", "A", "a/b-c/d", "é", "ab/c"}
	keys = slices.DeleteFunc(keys, func(k string) bool { return k == "a/b" }) // a file system can not have a/b and a/b/c
	for _, key := range keys {
		put(t, store, key, key)
	}
	slices.Sort(keys)
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/b/", "a/b.", "a.", "ab", "zzz", "a/b/c", "a/b/c/", "é", "a/b/cc"} {
		want := []string{}
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		require.Equal(t, want, list(t, store, prefix), "prefix %q", prefix)
	}
}

func testListMany(t *testing.T, store storage.Store) {
	const count = 5000
	want := make([]string, 0, count)
	for i := range count {
		key := fmt.Sprintf("chunks/%02x/%05d.zst.age", i*7%256, i)
		put(t, store, key, "x")
		want = append(want, key)
	}
	slices.Sort(want)
	require.Equal(t, want, list(t, store, ""))
	require.Equal(t, want, list(t, store, "chunks/"))
	require.Len(t, list(t, store, "chunks/a"), len(slices.DeleteFunc(want, func(k string) bool { return !strings.HasPrefix(k, "chunks/a") })))
}

func testListStops(t *testing.T, store storage.Store) {
	for i := range 10 {
		put(t, store, fmt.Sprintf("d/%d", i), "x")
	}
	enough := errors.New("enough")
	var seen []string
	err := store.List(context.Background(), "", func(o storage.Object) error {
		require.Equal(t, int64(1), o.Size)
		if seen = append(seen, o.Key); len(seen) == 3 {
			return enough
		}
		return nil
	})
	require.ErrorIs(t, err, enough)
	require.Equal(t, []string{"d/0", "d/1", "d/2"}, seen)
}

func testCancelledPut(t *testing.T, store storage.Store) {
	put(t, store, "kept", "as it was")
	for _, key := range []string{"fresh", "kept"} {
		ctx, cancel := context.WithCancel(context.Background())
		body := io.MultiReader(strings.NewReader("some"), &failing{err: io.EOF, before: cancel})
		require.ErrorIs(t, store.Put(ctx, key, body, 4), context.Canceled, key)
	}
	require.Equal(t, []string{"kept"}, list(t, store, ""))
	require.Equal(t, "as it was", get(t, store, "kept", 0, -1))
}

func testCancelled(t *testing.T, store storage.Store) {
	put(t, store, "k", "x")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, getErr := store.Get(ctx, "k", 0, -1)
	_, statErr := store.Stat(ctx, "k")
	_, usageErr := store.Usage(ctx)
	for method, err := range map[string]error{
		"put": store.Put(ctx, "new", strings.NewReader("x"), 1), "get": getErr, "stat": statErr, "delete": store.Delete(ctx, "k"),
		"copy": store.Copy(ctx, "k", "new"), "usage": usageErr, "sync": store.Sync(ctx),
		"list": store.List(ctx, "", func(storage.Object) error { return nil }),
	} {
		require.ErrorIs(t, err, context.Canceled, method)
	}
	require.Equal(t, []string{"k"}, list(t, store, ""))
}

func testCancelledRead(t *testing.T, store storage.Store) {
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

func testConcurrent(t *testing.T, store storage.Store) {
	ctx := context.Background()
	const writers, rounds, size = 8, 30, 64 << 10
	put(t, store, "shared/hot", strings.Repeat("z", size))
	var running sync.WaitGroup
	failed := make(chan error, 2*writers)
	for w := range writers {
		running.Go(func() {
			for round := range rounds {
				own := fmt.Sprintf("own/%d/%d/x", w, round)
				content := strings.Repeat(string(rune('a'+w)), size)
				err := errors.Join(store.Put(ctx, "shared/hot", strings.NewReader(content), size),
					store.Put(ctx, own, strings.NewReader(own), int64(len(own))), store.Delete(ctx, own))
				if err != nil {
					failed <- err
					return
				}
			}
		})
		running.Go(func() {
			for range rounds {
				if err := readWhole(ctx, store, "shared/hot", size); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	running.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	require.Equal(t, []string{"shared/hot"}, list(t, store, ""))
}

// readWhole fails if an object of equal bytes is torn.
func readWhole(ctx context.Context, store storage.Store, key string, size int) error {
	body, err := store.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if len(content) != size || strings.Trim(string(content), string(content[:1])) != "" {
		return fmt.Errorf("read a torn object of %d bytes", len(content))
	}
	return nil
}
