package tdsserver

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"sync"
)

// session is one connection.
type session struct {
	server   *Server
	conn     net.Conn // replaced by TLS
	raw      net.Conn
	id       int
	database string
	readOnly bool
	user     string // as whom statements run

	mu      sync.Mutex
	cancel  context.CancelFunc // of the statement that runs
	stopped bool               // by an attention
}

// The types of packets.
const (
	packetBatch     = 1
	packetRPC       = 3
	packetReply     = 4
	packetAttention = 6
	packetBegin     = 14
	packetLogin     = 16
	packetPrelogin  = 18
)

func (s *session) end() { _ = s.raw.Close() }

// serve answers one connection until it ends.
func (s *Server) serve(conn net.Conn) {
	one := &session{server: s, conn: conn, raw: conn, user: Login}
	defer one.end()
	if !one.login() {
		return
	}
	defer s.forget(one)
	messages := make(chan message)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		defer close(messages)
		defer cancel() // a client that is gone cancels what it asked for
		for {
			m, err := readMessage(one.conn)
			if err != nil {
				return
			}
			if m.kind == packetAttention {
				one.attention()
				continue
			}
			select {
			case messages <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	for m := range messages {
		if !one.answer(ctx, m) {
			return
		}
	}
}

// remember gives a session its number; false if the database does not let it in.
func (s *Server) remember(one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	one.id = s.last
	s.sessions[one.id] = one
}

func (s *Server) forget(one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, one.id)
	for _, database := range s.databases {
		if database.owner == one.id {
			database.owner = 0
		}
	}
}

// attention stops the statement that runs; one that has ended is confirmed by itself.
func (s *session) attention() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.stopped = true
		s.cancel()
		return
	}
	var out tokens
	out.done(doneAttention, 0)
	_ = writeMessage(s.conn, out.Bytes())
}

// answer runs what was asked; false ends the connection.
func (s *session) answer(ctx context.Context, m message) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	s.cancel, s.stopped = cancel, false
	s.mu.Unlock()
	var out tokens
	alive := true
	switch m.kind {
	case packetBatch:
		alive = s.run(ctx, text16(withoutHeaders(m.data)), nil, &out)
	case packetRPC:
		statement, params := parseRPC(withoutHeaders(m.data))
		alive = s.run(ctx, statement, params, &out)
	case packetBegin:
		transaction(withoutHeaders(m.data), &out)
	default:
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel = nil
	if !alive {
		return false
	}
	if s.stopped {
		out.Reset()
		out.done(doneAttention, 0)
	}
	return writeMessage(s.conn, out.Bytes()) == nil
}

// transaction begins or ends one.
func transaction(data []byte, out *tokens) {
	const begin, rollback = 5, 8
	id := []byte{1, 0, 0, 0, 0, 0, 0, 0}
	var change bytes.Buffer
	switch binary.LittleEndian.Uint16(data) {
	case begin:
		change.Write(append(append([]byte{8, 8}, id...), 0))
	case rollback:
		change.Write(append([]byte{10, 0, 8}, id...))
	default:
		change.Write(append([]byte{9, 0, 8}, id...))
	}
	out.envChange(change.Bytes())
	out.done(0, 0)
}
