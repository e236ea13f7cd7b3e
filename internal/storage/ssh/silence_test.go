package ssh_test

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

// wire passes bytes between clients and a server until it is cut, after which the connections there are
// stay open and carry nothing: a firewall that forgot them, or a cable that was pulled.
type wire struct {
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	cuts  []*atomic.Bool
}

func newWire(t *testing.T, server *sshserver.Server) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{listener: listener}
	target := (&net.TCPAddr{IP: net.ParseIP(server.Host), Port: server.Port}).String()
	w.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			if far, err := net.Dial("tcp", target); err == nil {
				w.join(client, far)
			}
		}
	})
	t.Cleanup(func() {
		listener.Close()
		w.mu.Lock()
		for _, conn := range w.conns {
			conn.Close()
		}
		w.mu.Unlock()
		w.running.Wait()
	})
	return w
}

func (w *wire) join(a, b net.Conn) {
	cut := new(atomic.Bool)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns, w.cuts = append(w.conns, a, b), append(w.cuts, cut)
	pass := func(to, from net.Conn) {
		buffer := make([]byte, 64<<10)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			if cut.Load() {
				continue
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
	w.running.Go(func() { pass(a, b) })
	w.running.Go(func() { pass(b, a) })
}

// cut silences the connections there are. New ones work.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, cut := range w.cuts {
		cut.Store(true)
	}
}

func TestASilentConnectionIsReplaced(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	w := newWire(t, server)
	opts.Port, opts.Silence = w.listener.Addr().(*net.TCPAddr).Port, 2*time.Second
	store := open(t, opts)
	defer store.Close()
	content := noise(24 << 20)
	body := newGate(content, 8<<20)
	done := make(chan error, 1)
	go func() { done <- store.Put(context.Background(), "k", body, int64(len(content))) }()
	<-body.reached
	w.cut()
	close(body.through)
	require.NoError(t, <-done)
	w.cut()
	got, err := store.Get(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, got)
	require.NoError(t, err)
	require.NoError(t, got.Close())
	require.Equal(t, int64(len(content)), n)
	require.Empty(t, tempFiles(t, opts.Root))
}

func TestACancelledCallDoesNotWaitForASilentServer(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	w := newWire(t, server)
	opts.Port = w.listener.Addr().(*net.TCPAddr).Port
	store := open(t, opts)
	defer store.Close()
	w.cut()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	started := time.Now()
	require.ErrorIs(t, store.Put(ctx, "k", strings.NewReader("x"), 1), context.DeadlineExceeded)
	require.Less(t, time.Since(started), 20*time.Second, "the connection is given up long before its silence is noticed")
	put(t, store, "k", "on another connection")
}

// A server that lost power and is back knows nothing of the connections it had, and says so only to who
// sends over them: the wire stands for the time until then.
func TestSyncNoticesACrashThatNoConnectionHasToldOfYet(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	w := newWire(t, server)
	opts.Port, opts.Silence = w.listener.Addr().(*net.TCPAddr).Port, 4*time.Second
	store := open(t, opts)
	defer store.Close()
	put(t, store, "k", "value")
	w.cut()
	require.NoError(t, os.WriteFile(filepath.Join(opts.Root, "k"), make([]byte, len("value")), 0o600))
	// While calls wait on the first connection others have a second one opened: the first that is answered
	// came over that one.
	asking, asked := make(chan error), 0
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for answered := false; !answered; {
		select {
		case err := <-asking:
			require.NoError(t, err)
			answered = true
		case <-ticker.C:
			asked++
			go func() {
				_, err := store.Stat(context.Background(), "k")
				asking <- err
			}()
		}
	}
	require.ErrorContains(t, store.Sync(t.Context()), "not there any more")
	for range asked - 1 {
		require.NoError(t, <-asking)
	}
}
