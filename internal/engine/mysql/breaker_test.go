package mysql_test

import (
	"encoding/binary"
	"io"
	"math"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
)

// breaker passes a connection to the test server on and cuts it before a command that changes something, as the
// death of a worker would.
type breaker struct {
	listener net.Listener
	left     atomic.Int64 // commands that are still passed on
	cut      atomic.Bool
	running  sync.WaitGroup
	meet     func(statement string) // is called before a statement is passed on, where it is set
}

func newBreaker(t *testing.T, commands int) *breaker {
	t.Helper()
	b := &breaker{}
	b.left.Store(int64(commands))
	b.listen(t)
	return b
}

// newTap cuts nothing. Whoever listens can do something between two statements of a session.
func newTap(t *testing.T, meet func(statement string)) *breaker {
	t.Helper()
	b := &breaker{meet: meet}
	b.left.Store(math.MaxInt64)
	b.listen(t)
	t.Cleanup(func() { b.stop() })
	return b
}

func (b *breaker) listen(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b.listener = listener
	b.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			b.running.Go(func() { b.serve(client) })
		}
	})
}

// source is src through the breaker.
func (b *breaker) source(src engine.Source) engine.Source {
	src.Via = b.listener.Addr().String()
	return src
}

// stop reports whether it cut a connection.
func (b *breaker) stop() bool {
	_ = b.listener.Close()
	b.running.Wait()
	return b.cut.Load()
}

func (b *breaker) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(server.Port)))
	if err != nil {
		return
	}
	defer server.Close()
	b.running.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	for {
		header := make([]byte, 4)
		if _, err := io.ReadFull(client, header); err != nil {
			return
		}
		body := make([]byte, binary.LittleEndian.Uint32(append(append([]byte{}, header[:3]...), 0)))
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		const query = 3
		if header[3] == 0 && body[0] == query && changes(body[1:]) && (b.cut.Load() || b.left.Add(-1) < 0) {
			b.cut.Store(true)
			return
		}
		if header[3] == 0 && body[0] == query && b.meet != nil {
			b.meet(string(body[1:]))
		}
		if _, err := server.Write(slices.Concat(header, body)); err != nil {
			return
		}
	}
}

func changes(statement []byte) bool {
	switch string(statement[:min(4, len(statement))]) {
	case "CREA", "DROP", "RENA", "INSE", "ALTE", "DELE":
		return true
	}
	return false
}
