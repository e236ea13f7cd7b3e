// Package tunnel reaches a database server through a bastion host: it listens on this machine and forwards each
// connection over one SSH connection.
package tunnel

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/sshdial"
)

// opening is the operation that errors name.
const opening = "open the ssh tunnel"

// Tunnel is an open tunnel. While it is, every process of this machine can reach the server through it, as with
// ssh -L: who logs in there is the server's business.
type Tunnel struct {
	dialer   *sshdial.Dialer
	host     string // of the target, as the bastion host sees it
	port     int
	listener net.Listener
	alive    context.Context //nolint:containedctx // ends with Close
	end      context.CancelFunc
	running  sync.WaitGroup
	dialing  chan struct{} // held while a connection to the bastion host is opened

	mu       sync.Mutex
	patience time.Duration // openPatience
	current  *link
	refused  error // why the last connection did not get to the target; nil: it did
	broke    error // that connections broke with the one to the bastion host
}

// link is one connection to the bastion host.
type link struct {
	client *ssh.Client
	dead   chan struct{} // closed when it has ended
}

// Open connects to the bastion host; whether the target answers is seen by who connects through the tunnel. ctx
// bounds only this call: what cleans up after a cancelled step needs the tunnel too, so it stays open until
// Close. Errors are those of sshdial.Dialer.Dial.
func Open(ctx context.Context, bastion domain.SSHTunnel, host string, port int) (*Tunnel, error) {
	dialer, err := sshdial.New(sshdial.Options{
		Op: opening, Host: bastion.Host, Port: bastion.Port, User: bastion.Username, Password: bastion.Password,
		PrivateKey: bastion.PrivateKey, Passphrase: bastion.Passphrase, HostKey: bastion.HostKey,
	})
	if err != nil {
		return nil, err
	}
	t := &Tunnel{dialer: dialer, host: strings.Trim(host, "[]"), port: port, patience: openPatience, dialing: make(chan struct{}, 1)}
	t.alive, t.end = context.WithCancel(context.Background())
	if _, err := t.connect(ctx); err != nil {
		t.end()
		return nil, err
	}
	if t.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		t.end()
		t.hangUp()
		return nil, failure.Wrap(failure.Unreachable, opening, err, "Look at the worker's limits of open files and ports.")
	}
	t.running.Go(t.accept)
	return t, nil
}

// Address is the near end, host:port.
func (t *Tunnel) Address() string { return t.listener.Addr().String() }

// Close ends the tunnel and every connection through it.
func (t *Tunnel) Close() {
	t.end()
	_ = t.listener.Close()
	t.hangUp()
	t.running.Wait()
}

func (t *Tunnel) hangUp() {
	t.mu.Lock()
	l := t.current
	t.mu.Unlock()
	if l != nil {
		_ = l.client.Close() // it may have ended by itself
		<-l.dead
	}
}

// connect gives the connection to the bastion host, a new one if there is none that lives.
func (t *Tunnel) connect(ctx context.Context) (*ssh.Client, error) {
	select {
	case t.dialing <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-t.dialing }()
	if l := t.living(); l != nil {
		return l.client, nil
	}
	client, err := t.dialer.Dial(ctx, nil)
	if err != nil {
		return nil, err
	}
	l := &link{client: client, dead: make(chan struct{})}
	go t.watch(l)
	go t.dialer.Keepalive(l.dead, func() bool { return t.probe(l) })
	t.mu.Lock()
	t.current = l
	closed := t.alive.Err()
	t.mu.Unlock()
	if closed != nil { // meanwhile, and hangUp may have looked before
		_ = client.Close()
		return nil, closed
	}
	return client, nil
}

func (t *Tunnel) living() *link {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == nil {
		return nil
	}
	select {
	case <-t.current.dead:
		return nil
	default:
		return t.current
	}
}

// watch remembers that a connection broke, unless Close ended it.
func (t *Tunnel) watch(l *link) {
	err := l.client.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.alive.Err() == nil {
		t.broke = t.lost(err)
	}
	close(l.dead)
}

// probe asks for a sign of life. Where there is none the connection is closed, and that it broke remembered when
// probe returns.
func (t *Tunnel) probe(l *link) bool {
	if sshdial.Probe(l.client) {
		return true
	}
	_ = l.client.Close()
	<-l.dead
	return false
}
