package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/storage"
)

func (s suite) testListOrder(t *testing.T, store storage.Store) {
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

func (s suite) testListMany(t *testing.T, store storage.Store) {
	const count = 5000
	want := make([]string, 0, count)
	for i := range count {
		want = append(want, fmt.Sprintf("chunks/%02x/%05d.zst.age", i*7%256, i))
	}
	s.putMany(t, store, want)
	slices.Sort(want)
	require.Equal(t, want, list(t, store, ""))
	require.Equal(t, want, list(t, store, "chunks/"))
	require.Len(t, list(t, store, "chunks/a"), len(slices.DeleteFunc(want, func(k string) bool { return !strings.HasPrefix(k, "chunks/a") })))
}

// putMany puts an object of one byte under each key, several at a time.
func (s suite) putMany(t *testing.T, store storage.Store, keys []string) {
	t.Helper()
	parallel := s.Parallel
	if parallel == 0 {
		parallel = 8
	}
	work, failed := make(chan string), make(chan error, len(keys))
	var running sync.WaitGroup
	for range parallel {
		running.Go(func() {
			for key := range work {
				if err := store.Put(context.Background(), key, strings.NewReader("x"), 1); err != nil {
					failed <- err
				}
			}
		})
	}
	for _, key := range keys {
		work <- key
	}
	close(work)
	running.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
}

func (s suite) testListStops(t *testing.T, store storage.Store) {
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

func (s suite) testDeleteListed(t *testing.T, store storage.Store) {
	const count = 100
	for i := range count {
		put(t, store, fmt.Sprintf("d/%d/%d", i%10, i), "x")
	}
	seen := 0
	require.NoError(t, store.List(context.Background(), "d/", func(o storage.Object) error {
		seen++
		return store.Delete(context.Background(), o.Key)
	}))
	require.Equal(t, count, seen)
	require.Empty(t, list(t, store, ""))
}
