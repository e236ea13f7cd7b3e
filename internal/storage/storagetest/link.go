package storagetest

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Link is a connection to a server that can be cut: it listens on an address of its own and passes on
// what comes. Cut and Restore are those of Broken.
type Link struct {
	listener net.Listener
	target   string

	mu   sync.Mutex
	cut  bool
	open map[net.Conn]struct{}
}

// NewLink starts a link to the server at target (host:port), which ends with the test.
func NewLink(t *testing.T, target string) *Link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &Link{listener: listener, target: target, open: map[net.Conn]struct{}{}}
	var accepting sync.WaitGroup
	accepting.Go(l.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		l.Cut()
		accepting.Wait()
	})
	return l
}

// Addr is host:port to connect to instead of the server's.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Cut resets every connection, and every new one until Restore.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for conn := range l.open {
		reset(conn)
	}
	clear(l.open)
}

// Restore lets connections through again.
func (l *Link) Restore() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = false
}

func (l *Link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		go l.pass(client)
	}
}

func (l *Link) pass(client net.Conn) {
	if !l.keep(client) {
		return
	}
	server, err := net.Dial("tcp", l.target)
	if err != nil {
		reset(client)
		return
	}
	if !l.keep(server) {
		return
	}
	var copying sync.WaitGroup
	for _, way := range [][2]net.Conn{{server, client}, {client, server}} {
		copying.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // a side that ends, or is cut, ends the other
			_ = way[0].(*net.TCPConn).CloseWrite()
		})
	}
	copying.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, client)
	delete(l.open, server)
	_, _ = client.Close(), server.Close()
}

// keep remembers a connection, or resets it if the link is cut.
func (l *Link) keep(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		reset(conn)
		return false
	}
	l.open[conn] = struct{}{}
	return true
}

func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0) // a reset, not a good-bye
	_ = conn.Close()
}
