package storagetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

func put(t *testing.T, store storage.Store, key, content string) {
	t.Helper()
	require.NoError(t, store.Put(context.Background(), key, strings.NewReader(content), int64(len(content))))
}

func get(t *testing.T, store storage.Store, key string, offset, length int64) string {
	t.Helper()
	body, err := store.Get(context.Background(), key, offset, length)
	require.NoError(t, err)
	content, err := io.ReadAll(body)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	return string(content)
}

func (s suite) testGet(t *testing.T, store storage.Store) {
	ctx := context.Background()
	before := time.Now().Add(-2 * time.Second)
	put(t, store, "a/b/c", "0123456789")
	require.NoError(t, store.Sync(ctx))
	for _, c := range []struct {
		offset, length int64
		want           string
	}{{0, -1, "0123456789"}, {0, 10, "0123456789"}, {3, 4, "3456"}, {8, 100, "89"}, {10, -1, ""}, {4, 0, ""}, {9, -1, "9"}} {
		require.Equal(t, c.want, get(t, store, "a/b/c", c.offset, c.length), "%+v", c)
	}
	for _, offset := range []int64{11, -1} {
		_, err := store.Get(ctx, "a/b/c", offset, -1)
		require.Error(t, err, "offset %d", offset)
	}
	object, err := store.Stat(ctx, "a/b/c")
	require.NoError(t, err)
	require.Equal(t, "a/b/c", object.Key)
	require.Equal(t, int64(10), object.Size)
	require.WithinRange(t, object.ModTime, before, time.Now().Add(2*time.Second))
}

// testSizes stores objects at and around the sizes at which backends change how they send: nothing, a
// packet of SFTP, the smallest part and the usual parts of an S3 upload.
func (s suite) testSizes(t *testing.T, store storage.Store) {
	put(t, store, "empty", "")
	require.Empty(t, get(t, store, "empty", 0, -1))
	object, err := store.Stat(context.Background(), "empty")
	require.NoError(t, err)
	require.Zero(t, object.Size)
	for _, size := range []int64{1, 32<<10 - 1, 32 << 10, 32<<10 + 1, 5<<20 - 1, 5 << 20, 8<<20 + 1, 16 << 20} {
		s.roundTrip(t, store, "sized", size)
	}
}

func (s suite) testLarge(t *testing.T, store storage.Store) {
	const size, tail = 100 << 20, 1000
	s.roundTrip(t, store, "large", size)
	require.NoError(t, store.Copy(context.Background(), "large", "copy"))
	require.Equal(t, get(t, store, "large", size-tail, -1), get(t, store, "copy", size-tail, -1))
	require.Equal(t, get(t, store, "large", size/2, tail), get(t, store, "copy", size/2, tail))
}

// roundTrip puts and gets size random bytes.
func (s suite) roundTrip(t *testing.T, store storage.Store, key string, size int64) {
	t.Helper()
	written, read := sha256.New(), sha256.New()
	source := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{byte(size)}), size), written)
	require.NoError(t, store.Put(context.Background(), key, source, size), "%d bytes", size)
	body, err := store.Get(context.Background(), key, 0, -1)
	require.NoError(t, err, "%d bytes", size)
	defer body.Close()
	n, err := io.Copy(read, body)
	require.NoError(t, err, "%d bytes", size)
	require.Equal(t, size, n)
	require.Equal(t, written.Sum(nil), read.Sum(nil), "%d bytes", size)
}

func (s suite) testReplace(t *testing.T, store storage.Store) {
	put(t, store, "k", "first, and longer")
	old, err := store.Get(context.Background(), "k", 0, -1)
	require.NoError(t, err)
	defer old.Close()
	put(t, store, "k", "second")
	require.Equal(t, "second", get(t, store, "k", 0, -1))
	content, err := io.ReadAll(old)
	require.NoError(t, err)
	require.Equal(t, "first, and longer", string(content), "a reader keeps the object that it opened")
}

func (s suite) testMissing(t *testing.T, store storage.Store) {
	ctx := context.Background()
	put(t, store, "here/is", "x")
	for _, key := range []string{"missing", "here", "here/is/not", "here/i"} {
		_, err := store.Get(ctx, key, 0, -1)
		requireNotFound(t, err, key)
		_, err = store.Stat(ctx, key)
		requireNotFound(t, err, key)
		requireNotFound(t, store.Copy(ctx, key, "target"), key)
		require.NoError(t, store.Delete(ctx, key), key)
	}
	require.Equal(t, []string{"here/is"}, list(t, store, ""))
	require.Empty(t, list(t, store, "nothing/"))
}

func requireNotFound(t *testing.T, err error, key string) {
	t.Helper()
	require.ErrorIs(t, err, storage.ErrNotFound, key)
	require.Equal(t, failure.NotFound, failure.ClassOf(err), key)
}

func (s suite) testBadKeys(t *testing.T, store storage.Store) {
	ctx := context.Background()
	put(t, store, "good", "x")
	for _, key := range []string{"", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", ".", "./a", "a/./b", "a//b", "a/", "a\x00b",
		"\xff\xfe", ".tmp", ".tmp/x", strings.Repeat("x", 256), strings.Repeat("x/", 600) + "x"} {
		_, getErr := store.Get(ctx, key, 0, -1)
		_, statErr := store.Stat(ctx, key)
		for method, err := range map[string]error{
			"put": store.Put(ctx, key, strings.NewReader("x"), 1), "get": getErr, "stat": statErr, "delete": store.Delete(ctx, key),
			"copy from": store.Copy(ctx, key, "y"), "copy to": store.Copy(ctx, "good", key),
		} {
			require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%s %q: %v", method, key, err)
		}
	}
	for _, prefix := range []string{"../", "/", "a//", "a/../b", "..//", ".tmp/"} {
		err := store.List(ctx, prefix, func(storage.Object) error { return nil })
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "list %q: %v", prefix, err)
	}
	require.Error(t, store.Put(ctx, "negative", strings.NewReader("x"), -1))
	require.Equal(t, []string{"good"}, list(t, store, ""))
}

func (s suite) testOddNames(t *testing.T, store storage.Store) {
	names := []string{"with space", "ünïcödé/日本語", "quote'\"", "new\nline", "back\\slash", "percent%2Fslash", "...", "..x/.y", "-dash",
		"star*?[x]", "$HOME", "a/.tmp/b", strings.Repeat("n", 255), "tab\t", "~", "emoji-🗄"}
	for _, name := range names {
		put(t, store, name, name)
	}
	slices.Sort(names)
	require.Equal(t, names, list(t, store, ""))
	for _, name := range names {
		require.Equal(t, name, get(t, store, name, 0, -1))
		require.NoError(t, store.Delete(context.Background(), name))
	}
	require.Empty(t, list(t, store, ""))
}

func (s suite) testDeleteAndCopy(t *testing.T, store storage.Store) {
	ctx := context.Background()
	put(t, store, "deep/down/one", "one")
	put(t, store, "deep/two", "two")
	require.NoError(t, store.Copy(ctx, "deep/down/one", "copy/of/one"))
	require.NoError(t, store.Copy(ctx, "deep/two", "deep/two"), "onto itself")
	require.NoError(t, store.Delete(ctx, "deep/down/one"))
	require.NoError(t, store.Delete(ctx, "deep/down/one"), "again")
	require.Equal(t, "one", get(t, store, "copy/of/one", 0, -1))
	require.Equal(t, []string{"copy/of/one", "deep/two"}, list(t, store, ""))
	put(t, store, "deep/down", "a name that was a directory is free again")
	require.NoError(t, store.Copy(ctx, "deep/two", "copy/of/one"))
	require.Equal(t, "two", get(t, store, "copy/of/one", 0, -1))
}

func (s suite) testUsage(t *testing.T, store storage.Store) {
	ctx := context.Background()
	used := func() int64 {
		usage, err := store.Usage(ctx)
		require.NoError(t, err)
		return usage.Used
	}
	require.Zero(t, used())
	for i := range 3 {
		put(t, store, fmt.Sprintf("dir/%d", i), strings.Repeat("x", 1000))
	}
	put(t, store, "dir/0", "now smaller")
	require.Equal(t, int64(2011), used())
	require.NoError(t, store.Copy(ctx, "dir/1", "other"))
	require.NoError(t, store.Delete(ctx, "dir/2"))
	require.Error(t, store.Put(ctx, "bad", strings.NewReader("x"), 50))
	require.Equal(t, int64(2011), used())
}
