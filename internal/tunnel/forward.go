package tunnel

import (
	"context"
	"io"
	"net"
	"time"

	"golang.org/x/crypto/ssh"
)

// openPatience is how long the bastion host may take to reach the target. It is shorter than what clients wait for a
// connection: they would give up before there is an answer to tell of.
const openPatience = 10 * time.Second

// accept forwards every connection until the tunnel is closed.
func (t *Tunnel) accept() {
	for {
		near, err := t.listener.Accept()
		switch {
		case t.alive.Err() != nil:
			if err == nil {
				_ = near.Close()
			}
			return
		case err != nil: // no file descriptor is left: the client sees no answer for a while
			select {
			case <-t.alive.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
		default:
			t.running.Go(func() { t.forward(near) })
		}
	}
}

func (t *Tunnel) forward(near net.Conn) {
	stop := context.AfterFunc(t.alive, func() { _ = near.Close() })
	defer stop()
	defer func() { _ = near.Close() }() // whatever it says, everything was passed on or can not be
	far, err := t.reach()
	t.mu.Lock()
	t.refused = err
	t.mu.Unlock()
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	join(near, far)
}

// reach has the bastion host connect to the target, over a new connection to it if the last one broke.
func (t *Tunnel) reach() (ssh.Channel, error) {
	client, err := t.connect(t.alive)
	if err != nil {
		return nil, err
	}
	type answer struct {
		channel ssh.Channel
		err     error
	}
	answered := make(chan answer, 1)
	go func() {
		channel, err := t.open(client)
		answered <- answer{channel, err}
	}()
	t.mu.Lock()
	timer := time.NewTimer(t.patience)
	t.mu.Unlock()
	defer timer.Stop()
	select {
	case a := <-answered:
		return a.channel, t.unreached(a.err)
	case <-timer.C:
		go func() { // nobody waits for it any more
			if a := <-answered; a.err == nil {
				_ = a.channel.Close()
			}
		}()
		return nil, t.unreached(errNoAnswer)
	}
}

// open asks for a connection to the target.
func (t *Tunnel) open(client *ssh.Client) (ssh.Channel, error) {
	request := struct { // RFC 4254, 7.2
		Host       string
		Port       uint32
		OriginHost string
		OriginPort uint32
	}{t.host, uint32(t.port), "127.0.0.1", 0} //nolint:gosec // a port
	channel, requests, err := client.OpenChannel("direct-tcpip", ssh.Marshal(&request))
	if err != nil {
		return nil, err
	}
	go ssh.DiscardRequests(requests)
	return channel, nil
}

// join passes bytes both ways until both have ended. When one end has nothing more to say the other is told so, and
// may go on.
func join(near net.Conn, far ssh.Channel) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := io.Copy(far, near); err != nil {
			_ = far.Close() // the client is gone, or the bastion host
			return
		}
		_ = far.CloseWrite()
	}()
	_, err := io.Copy(near, far)
	if tcp, ok := near.(*net.TCPConn); ok && err == nil {
		_ = tcp.CloseWrite()
	} else {
		_ = near.Close()
	}
	<-done
}
