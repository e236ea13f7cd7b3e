package api

import (
	"net"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
)

// watched notes the deadlines that writes to a connection are given.
type watched struct {
	mu sync.Mutex
	at time.Time
}

func (w *watched) last() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

type watchedListener struct {
	net.Listener
	to *watched
}

func (l watchedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return watchedConn{conn, l.to}, err
}

type watchedConn struct {
	net.Conn
	to *watched
}

func (c watchedConn) SetWriteDeadline(at time.Time) error {
	c.to.mu.Lock()
	c.to.at = at
	c.to.mu.Unlock()
	return c.Conn.SetWriteDeadline(at)
}

// serveWatched serves the API of a fixture whose server was closed on connections that are watched.
func (f *fixture) serveWatched(to *watched) {
	f.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(f.t, err)
	f.http = httptest.NewUnstartedServer(f.server.engine)
	require.NoError(f.t, f.http.Listener.Close())
	f.http.Listener = watchedListener{listener, to}
	f.http.Start()
}
