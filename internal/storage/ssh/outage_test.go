package ssh_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

// outage is how long the server is away in these tests: longer than the first tries to come back.
const outage = 2 * time.Second

func noise(size int) []byte {
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(content)
	return content
}

// gate is a body that waits once at an offset until it is let through.
type gate struct {
	*bytes.Reader
	at       int64
	reached  chan struct{}
	through  chan struct{}
	passedBy bool
}

func newGate(content []byte, at int64) *gate {
	return &gate{Reader: bytes.NewReader(content), at: at, reached: make(chan struct{}), through: make(chan struct{})}
}

func (g *gate) Read(p []byte) (int, error) {
	if at, _ := g.Seek(0, io.SeekCurrent); at >= g.at && !g.passedBy {
		g.passedBy = true
		close(g.reached)
		<-g.through
	}
	return g.Reader.Read(p)
}

// tempFiles are the uploads in flight and what is left of them.
func tempFiles(t *testing.T, root string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root, storage.Reserved))
	require.NoError(t, err)
	return slices.DeleteFunc(entries, func(e os.DirEntry) bool { return e.Name() == "volume" })
}

func TestAnUploadOutlivesTheServer(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	store := open(t, opts)
	defer store.Close()
	content := noise(24 << 20)
	body := newGate(content, 8<<20)
	done := make(chan error, 1)
	go func() { done <- store.Put(context.Background(), "a/b", body, int64(len(content))) }()
	<-body.reached
	server.Stop(t)
	require.Len(t, tempFiles(t, opts.Root), 1)
	close(body.through)
	time.Sleep(outage)
	server.Run(t)
	require.NoError(t, <-done)
	got, err := os.ReadFile(filepath.Join(opts.Root, "a/b"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))
	require.Empty(t, tempFiles(t, opts.Root), "what the broken connection left is removed")
	require.NoError(t, store.Sync(t.Context()))
}

func TestABodyThatCanNotBeReadAgainFailsOnceAndLeavesNothing(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	store := open(t, opts)
	defer store.Close()
	body := newGate(noise(24<<20), 8<<20)
	done := make(chan error, 1)
	go func() { done <- store.Put(context.Background(), "k", struct{ io.Reader }{body}, 24<<20) }()
	<-body.reached
	server.Stop(t)
	server.Run(t)
	close(body.through)
	err := <-done
	require.Equal(t, failure.Unreachable, failure.ClassOf(err), "%v", err)
	require.Empty(t, tempFiles(t, opts.Root))
	_, err = store.Stat(t.Context(), "k")
	require.ErrorIs(t, err, storage.ErrNotFound)
}

func TestADownloadOutlivesTheServer(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	store := open(t, opts)
	defer store.Close()
	content := noise(32 << 20)
	for name, replaced := range map[string]bool{"and goes on where it was": false, "but not with another object": true} {
		t.Run(name, func(t *testing.T) {
			// Anew: the other case, which may have come first, leaves a shorter one.
			require.NoError(t, os.WriteFile(filepath.Join(opts.Root, "k"), content, 0o600))
			body, err := store.Get(t.Context(), "k", 1000, -1)
			require.NoError(t, err)
			defer body.Close()
			got := make([]byte, len(content)-1000)
			_, err = io.ReadFull(body, got[:5<<20])
			require.NoError(t, err)
			server.Stop(t)
			if replaced {
				require.NoError(t, os.WriteFile(filepath.Join(opts.Root, "k"), content[1:], 0o600))
			}
			server.Run(t)
			_, err = io.ReadFull(body, got[5<<20:])
			if replaced {
				require.ErrorContains(t, err, "replaced")
				return
			}
			require.NoError(t, err)
			require.True(t, bytes.Equal(content[1000:], got))
		})
	}
}

func TestAListingOutlivesTheServer(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	store := open(t, optionsOf(server, t.TempDir()))
	defer store.Close()
	var want, got []string
	for i := range 60 {
		key := fmt.Sprintf("%02d/x", i)
		require.NoError(t, store.Put(t.Context(), key, strings.NewReader(key), int64(len(key))))
		want = append(want, key)
	}
	require.NoError(t, store.List(t.Context(), "", func(o storage.Object) error {
		if got = append(got, o.Key); len(got) == 20 {
			server.KillSessions(t)
		}
		return nil
	}))
	require.Equal(t, want, got)
}

func TestAServerThatIsGoneForGoodIsNamed(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	opts.Patience = time.Second
	store := open(t, opts)
	defer store.Close()
	body, err := store.Get(t.Context(), put(t, store, "k", string(noise(20<<20))), 0, -1)
	require.NoError(t, err)
	defer body.Close()
	server.Stop(t)
	_, readErr := io.Copy(io.Discard, body)
	_, statErr := store.Stat(t.Context(), "k")
	for name, err := range map[string]error{
		"read": readErr, "stat": statErr, "put": store.Put(t.Context(), "new", strings.NewReader("x"), 1), "delete": store.Delete(t.Context(), "k"),
		"list": store.List(t.Context(), "", func(storage.Object) error { return nil }), "sync": store.Sync(t.Context()),
	} {
		require.Equal(t, failure.Unreachable, failure.ClassOf(err), "%s: %v", name, err)
		require.ErrorContains(t, err, fmt.Sprintf("%s:%d", server.Host, server.Port), name)
		require.NotEmpty(t, failure.HintOf(err), name)
	}
}

func TestWaitingForAServerEndsWithTheContext(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	store := open(t, optionsOf(server, t.TempDir()))
	defer store.Close()
	server.Stop(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	started := time.Now()
	require.ErrorIs(t, store.Put(ctx, "k", strings.NewReader("x"), 1), context.DeadlineExceeded)
	require.Less(t, time.Since(started), 10*time.Second)
}

func TestWhatAServerConfirmedAndLostIsNoticed(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	for name, c := range map[string]struct {
		harm func(path string) error
		ok   bool
	}{
		"all is there":             {func(string) error { return nil }, true},
		"a file is empty":          {func(path string) error { return os.Truncate(path, 0) }, false},
		"a file is gone":           {os.Remove, false},
		"a file has other content": {func(path string) error { return os.WriteFile(path, []byte("zeros"), 0o600) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			opts := optionsOf(server, t.TempDir())
			store := open(t, opts)
			defer store.Close()
			put(t, store, "a/b/c", "value")
			put(t, store, "a/gone", "x")
			require.NoError(t, store.Delete(t.Context(), "a/gone"))
			server.Stop(t)
			require.NoError(t, c.harm(filepath.Join(opts.Root, "a/b/c")))
			server.Run(t)
			err := store.Sync(t.Context())
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "a/b/c")
			require.ErrorContains(t, err, "not there any more")
			require.Error(t, store.Sync(t.Context()), "a second call says the same")
		})
	}
}

func TestConnectionsRespectTheLimitsOfTheServer(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{Config: []string{"MaxStartups 1:100:1", "MaxSessions 1"}})
	store := open(t, optionsOf(server, t.TempDir()))
	defer store.Close()
	content := string(noise(1 << 20))
	var group errgroup.Group
	for i := range 64 {
		group.Go(func() error {
			key := fmt.Sprintf("d%d/k", i%8)
			return errors.Join(store.Put(context.Background(), key, strings.NewReader(content), int64(len(content))), store.Delete(context.Background(), key))
		})
	}
	require.NoError(t, group.Wait())
	require.LessOrEqual(t, server.Logins(), 4)
}
