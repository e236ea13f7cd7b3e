package temporalserver

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// localhost is the only address the embedded server and its web UI listen on: neither asks who is
// there.
const localhost = "127.0.0.1"

// freePort finds a port that nothing listens on. The Temporal server opens its own listeners, so
// the port can not be held open for it. Linux hands out ephemeral ports at random and could give
// this one to somebody else meanwhile; a connection closed from the listening side leaves it in
// TIME_WAIT, and such a port is not handed out for a minute, yet can be listened on.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", localhost+":0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	dialled, err := net.DialTCP("tcp", nil, listener.Addr().(*net.TCPAddr))
	if err != nil {
		return 0, fmt.Errorf("reserve a free port: %w", err)
	}
	defer func() { _ = dialled.Close() }()
	accepted, err := listener.Accept()
	if err != nil {
		return 0, fmt.Errorf("reserve a free port: %w", err)
	}
	_ = accepted.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// portOrFree gives port if it can be listened on, and a free one for 0. A port that is taken is
// tried again for a second: whoever looked at it before us closed it, but a process that was forked
// meanwhile (Postgres starts beside us) keeps it open until it executes its program.
func portOrFree(port int) (int, error) {
	if port == 0 {
		return freePort()
	}
	for deadline := time.Now().Add(time.Second); ; time.Sleep(20 * time.Millisecond) {
		listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", localhost, port))
		if err == nil {
			return port, listener.Close()
		}
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			return 0, err
		}
	}
}
