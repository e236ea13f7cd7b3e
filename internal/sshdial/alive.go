package sshdial

import (
	"net"
	"time"

	"golang.org/x/crypto/ssh"
)

// Probe asks a connection for a sign of life and waits for the answer, at most for the dialer's silence. Where
// there is none the connection is of no use any more.
func Probe(client *ssh.Client) bool {
	_, _, err := client.SendRequest("keepalive@openssh.com", true, nil)
	return err == nil
}

// Keepalive calls probe from time to time, until it is false or dead is closed. An answer that does not come is
// noticed by the deadline of the connection underneath.
func (d *Dialer) Keepalive(dead <-chan struct{}, probe func() bool) {
	ticker := time.NewTicker(d.opts.Silence / 4)
	defer ticker.Stop()
	for {
		select {
		case <-dead:
			return
		case <-ticker.C:
			if !probe() {
				return
			}
		}
	}
}

// timedConn breaks off when nothing moves: the keepalive sees to it that something does.
type timedConn struct {
	net.Conn
	silence time.Duration
}

// Read waits at most silence.
func (t *timedConn) Read(p []byte) (int, error) {
	if err := t.SetReadDeadline(time.Now().Add(t.silence)); err != nil {
		return 0, err
	}
	return t.Conn.Read(p)
}

// Write waits at most silence.
func (t *timedConn) Write(p []byte) (int, error) {
	if err := t.SetWriteDeadline(time.Now().Add(t.silence)); err != nil {
		return 0, err
	}
	return t.Conn.Write(p)
}
