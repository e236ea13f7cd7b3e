package mysql

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/dataguardian/dataguardian/internal/engine"
)

// relaySocket is the relay's socket in the tool's private directory.
const relaySocket = "s"

// relay gives client tools a plain connection to a server, on a Unix socket that only this user reaches,
// and speaks TLS with the server itself. Both products' tools take a Unix socket for a safe transport.
type relay struct {
	src      engine.Source
	secured  *tls.Config
	listener net.Listener
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu    sync.Mutex
	first error // why the first connection that failed did
}

func startRelay(ctx context.Context, src engine.Source, dir string) (*relay, error) {
	secured, err := tlsConfig(src.Config)
	if err != nil {
		return nil, err
	}
	// A socket's path may have a hundred bytes; the directory's may be longer.
	opened, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	defer opened.Close()
	listener, err := net.Listen("unix", fmt.Sprintf("/proc/self/fd/%d/%s", opened.Fd(), relaySocket))
	if err != nil {
		return nil, fmt.Errorf("listen for a client tool: %w", err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false) // the directory goes as a whole
	ctx, cancel := context.WithCancel(ctx)
	r := &relay{src: src, secured: secured, listener: listener, cancel: cancel}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	r.running.Go(func() { r.accept(ctx) })
	return r, nil
}

// stop ends every connection and returns when all have ended.
func (r *relay) stop() {
	r.cancel()
	r.running.Wait()
}

// failure is what kept a connection from being made, or nil.
func (r *relay) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first
}

func (r *relay) accept(ctx context.Context) {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.running.Go(func() {
			if err := r.serve(ctx, client); err != nil {
				err = classifyConnect(ctx, "connect to "+address(r.src.Config), err)
				r.mu.Lock()
				r.first = errors.Join(r.first, err)
				r.mu.Unlock()
			}
		})
	}
}

// serve joins a tool with the server. Its error is of making the connection, not of using it.
func (r *relay) serve(ctx context.Context, client net.Conn) error {
	defer client.Close()
	plain, err := dial(ctx, r.src)
	if err != nil {
		return err
	}
	defer plain.Close()
	defer context.AfterFunc(ctx, func() { _, _ = plain.Close(), client.Close() })()
	server, err := r.handshake(ctx, client, plain)
	if err != nil || server == nil {
		return err
	}
	link := &link{client: client, server: server}
	done := make(chan struct{})
	go func() {
		defer close(done)
		link.answers()
		_ = client.Close()
	}()
	link.requests()
	_ = server.Close()
	<-done
	return nil
}

// Capabilities of the protocol's handshake.
const (
	clientSSL        = 0x0800
	sslRequestBytes  = 32
	packetHeader     = 4
	answerOK         = 0x00
	answerError      = 0xff
	protocolVersion  = 10
	salted           = 8 + 1 // the first part of the salt, and a zero
	maxHandshakeText = 1 << 16
)

// handshake passes the server's greeting on without its offer of TLS, takes the offer up, and sends the
// tool's response through it. A nil connection is one that the server refused, which the tool was told.
func (r *relay) handshake(ctx context.Context, client, plain net.Conn) (net.Conn, error) {
	greeting, err := readPacket(plain)
	if err != nil {
		return nil, err
	}
	if len(greeting) > packetHeader && greeting[packetHeader] == answerError {
		_, err := client.Write(greeting)
		return nil, err
	}
	capabilities, err := capabilitiesOf(greeting)
	if err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint16(capabilities)&clientSSL == 0 {
		return nil, errNoTLS
	}
	capabilities[1] &^= clientSSL >> 8
	if _, err := client.Write(greeting); err != nil {
		return nil, nil //nolint:nilerr,nilnil // the tool went away
	}
	response, err := readPacket(client)
	if err != nil || len(response) < packetHeader+sslRequestBytes {
		return nil, nil //nolint:nilerr,nilnil // the tool went away
	}
	response[packetHeader+1] |= clientSSL >> 8
	request := append([]byte{sslRequestBytes, 0, 0, 1}, response[packetHeader:packetHeader+sslRequestBytes]...)
	if _, err := plain.Write(request); err != nil {
		return nil, err
	}
	secured := tls.Client(plain, r.secured)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	response[3] = 2
	_, err = secured.Write(response)
	return secured, err
}

var errNoTLS = tls.RecordHeaderError{Msg: "the server offers no TLS"}

// capabilitiesOf finds the lower two bytes of the server's capabilities in its greeting.
func capabilitiesOf(greeting []byte) ([]byte, error) {
	body := greeting[packetHeader:]
	if len(body) == 0 || body[0] != protocolVersion {
		return nil, errors.New("what answers is not a MySQL or MariaDB server")
	}
	for i, b := range body {
		if b != 0 {
			continue
		}
		at := i + 1 + 4 + salted // after the version: thread id, salt
		if at+2 > len(body) {
			break
		}
		return body[at : at+2], nil
	}
	return nil, errors.New("the server's greeting is cut short")
}

// readPacket reads one packet of the handshake, header included.
func readPacket(r io.Reader) ([]byte, error) {
	header := make([]byte, packetHeader)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	length := int(header[0]) | int(header[1])<<8 | int(header[2])<<16
	if length > maxHandshakeText {
		return nil, fmt.Errorf("a handshake of %d bytes is too long", length)
	}
	packet := make([]byte, packetHeader+length)
	copy(packet, header)
	_, err := io.ReadFull(r, packet[packetHeader:])
	return packet, err
}

// link passes packets on. Until the user is let in, the tool's numbers of packets are behind by the one
// that it does not know of; each command after that counts from 0.
type link struct {
	client, server net.Conn
	in             atomic.Bool
}

func (l *link) answers() {
	for {
		packet, err := readPacket(l.server)
		if err != nil {
			return
		}
		packet[3]--
		last := len(packet) > packetHeader && (packet[packetHeader] == answerOK || packet[packetHeader] == answerError)
		if last {
			l.in.Store(true) // before the tool knows, which then sends a command
		}
		if _, err := l.client.Write(packet); err != nil {
			return
		}
		if last {
			break
		}
	}
	_, _ = io.CopyBuffer(struct{ io.Writer }{l.client}, struct{ io.Reader }{l.server}, make([]byte, 256<<10))
}

func (l *link) requests() {
	for !l.in.Load() {
		header := make([]byte, packetHeader)
		if _, err := io.ReadFull(l.client, header); err != nil {
			return
		}
		if !l.in.Load() {
			header[3]++
		}
		if _, err := l.server.Write(header); err != nil {
			return
		}
		length := int64(header[0]) | int64(header[1])<<8 | int64(header[2])<<16
		if _, err := io.CopyN(l.server, l.client, length); err != nil {
			return
		}
	}
	_, _ = io.CopyBuffer(struct{ io.Writer }{l.server}, struct{ io.Reader }{l.client}, make([]byte, 256<<10))
}
