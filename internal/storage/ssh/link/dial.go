package link

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// Options say where to connect and as whom.
type Options struct {
	Host       string
	Port       int
	User       string
	Password   string // either a password
	PrivateKey string // or a key in OpenSSH or PEM format
	Passphrase string // of the key
	HostKey    string // line of known_hosts without the host, or SHA256:… fingerprint; empty: nothing is confirmed

	// Patience is how long an operation waits for a server that is away; 0 is one minute.
	Patience time.Duration
	// Silence is how long the server may give no sign of life until the connection counts as broken; it
	// is asked for one four times as often. 0 is one minute.
	Silence time.Duration
	// MaxConnections is how many connections there may be; 0 is 4.
	MaxConnections int
}

// address is host:port.
func (o Options) address() string {
	return net.JoinHostPort(strings.Trim(o.Host, "[]"), strconv.Itoa(o.Port))
}

// dialTimeout bounds everything from the first packet to a working SFTP session.
const dialTimeout = 20 * time.Second

// defaultSilence makes a keepalive every 15 s: NATs forget idle connections later than that.
const defaultSilence = time.Minute

// The payloads of one read or write. Every server takes 32 KiB; OpenSSH takes 255 KiB since ever and
// says so by limits@openssh.com since 8.5. Fewer and larger requests cost it fewer system calls.
const (
	safePacket  = 32 << 10
	largePacket = 255 << 10
)

type dialer struct {
	opts    Options
	address string
	pin     pin
	auth    func() ([]ssh.AuthMethod, error)

	losses atomic.Int64 // connections that ended

	mu      sync.Mutex
	keyType string // of the key that the fingerprint turned out to be of
}

func newDialer(opts Options) (*dialer, error) {
	confirmed, err := parsePin(opts.HostKey)
	if err != nil {
		return nil, err
	}
	if _, err := opts.methods(); err != nil {
		return nil, err
	}
	if opts.Silence == 0 {
		opts.Silence = defaultSilence
	}
	return &dialer{opts: opts, address: opts.address(), pin: confirmed, auth: opts.methods, keyType: confirmed.keyType()}, nil
}

// dial opens a connection with an SFTP session. A server may have keys of several types, of which it
// shows the first that is asked for: behind a mere fingerprint the others are tried as well before
// the key counts as changed.
func (d *dialer) dial(ctx context.Context) (*Conn, error) {
	d.mu.Lock()
	keyType := d.keyType
	d.mu.Unlock()
	var seen []string
	var first error
	for {
		var shown ssh.PublicKey
		conn, err := d.try(ctx, algorithms(keyType, seen), &shown)
		var changed *HostKeyChangedError
		switch {
		case err == nil:
			d.mu.Lock()
			d.keyType = shown.Type()
			d.mu.Unlock()
			return conn, nil
		case first != nil && strings.Contains(err.Error(), "no common algorithm for host key"):
			return nil, first // the server has no other key
		case d.pin.key != nil || !errors.As(err, &changed) || len(seen)+1 == len(families):
			if first != nil && errors.As(err, &changed) {
				return nil, first
			}
			return nil, err
		}
		if first == nil {
			first = err
		}
		seen = append(seen, shown.Type())
	}
}

// try connects once, asking for a host key by one of the algorithms.
func (d *dialer) try(ctx context.Context, hostKeys []string, shown *ssh.PublicKey) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	auth, err := d.auth()
	if err != nil {
		return nil, err
	}
	var dialing net.Dialer
	network, err := dialing.DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, d.failed(ctx, err)
	}
	var refused error
	config := &ssh.ClientConfig{
		User: d.opts.User, Auth: auth, HostKeyAlgorithms: hostKeys, ClientVersion: "SSH-2.0-DataGuardian",
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			*shown = key
			refused = d.pin.check(d.address, key)
			return refused
		},
	}
	stop := context.AfterFunc(ctx, func() { network.Close() })
	conn, err := handshake(&timedConn{Conn: network, silence: d.opts.Silence}, d.address, config)
	if !stop() && err == nil { // the context ended: the connection is closed or about to be
		conn.client.Close()
		err = ctx.Err()
	}
	switch {
	case refused != nil:
		network.Close()
		return nil, refused
	case err != nil:
		network.Close()
		return nil, d.failed(ctx, err)
	}
	conn.losses = &d.losses
	go conn.keepalive(d.opts.Silence / 4)
	go conn.wait()
	return conn, nil
}

func handshake(network net.Conn, address string, config *ssh.ClientConfig) (*Conn, error) {
	transport, channels, requests, err := ssh.NewClientConn(network, address, config)
	if err != nil {
		return nil, err
	}
	client := ssh.NewClient(transport, channels, requests)
	packet := safePacket
	if strings.HasPrefix(string(transport.ServerVersion()), "SSH-2.0-OpenSSH_") {
		packet = largePacket
	}
	session, err := openSFTP(client, packet)
	if err == nil && packet > safePacket {
		if _, ok := session.HasExtension("limits@openssh.com"); !ok { // another SFTP server behind OpenSSH, or an old one
			session.Close()
			packet = safePacket
			session, err = openSFTP(client, packet)
		}
	}
	if err != nil {
		client.Close()
		return nil, err
	}
	return &Conn{Client: session, Packet: packet, client: client, dead: make(chan struct{})}, nil
}

func openSFTP(client *ssh.Client, packet int) (*sftp.Client, error) {
	return sftp.NewClient(client, sftp.MaxPacketUnchecked(packet), sftp.UseConcurrentWrites(true), sftp.UseConcurrentReads(true))
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
