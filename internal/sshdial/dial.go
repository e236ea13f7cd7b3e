// Package sshdial opens SSH connections: whom to log in as, which host key to expect, how long to wait, and
// what to tell people when it does not work. What is done over a connection is its callers' business.
package sshdial

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Options say where to connect and as whom.
type Options struct {
	Op         string // begins what errors say: "open ssh storage"
	Host       string
	Port       int
	User       string
	Password   string // either a password
	PrivateKey string // or a key in OpenSSH or PEM format
	Passphrase string // of the key
	HostKey    string // line of known_hosts without the host, or SHA256:… fingerprint; empty: nothing is confirmed

	// Silence is how long the server may give no sign of life until the connection counts as broken; it
	// is asked for one four times as often. 0 is one minute.
	Silence time.Duration
}

// address is host:port.
func (o Options) address() string {
	return net.JoinHostPort(strings.Trim(o.Host, "[]"), strconv.Itoa(o.Port))
}

// dialTimeout bounds everything from the first packet to a connection that can be used.
const dialTimeout = 20 * time.Second

// defaultSilence makes a keepalive every 15 s: NATs forget idle connections later than that.
const defaultSilence = time.Minute

// Dialer opens connections to one server. It is safe for concurrent use.
type Dialer struct {
	opts    Options
	address string
	pin     pin

	mu      sync.Mutex
	keyType string // of the key that the fingerprint turned out to be of
}

// New reads the host key and the private key. Errors: ConfigInvalid.
func New(opts Options) (*Dialer, error) {
	confirmed, err := parsePin(opts.Op, opts.HostKey)
	if err != nil {
		return nil, err
	}
	if _, err := opts.methods(); err != nil {
		return nil, err
	}
	if opts.Silence == 0 {
		opts.Silence = defaultSilence
	}
	return &Dialer{opts: opts, address: opts.address(), pin: confirmed, keyType: confirmed.keyType()}, nil
}

// Address is the server's host:port.
func (d *Dialer) Address() string { return d.address }

// Dial connects and logs in, and calls begin with the connection, if it is not nil, within the same time limit;
// an error of begin that is classified is returned as it is. The caller keeps the connection alive with
// Keepalive. Errors are classified: ConfigInvalid with an *UnknownHostKeyError or *HostKeyChangedError inside,
// AuthFailed, Unsupported, Unreachable (also ErrDropped), Timeout.
//
// A server may have keys of several types, of which it shows the first that is asked for: behind a mere
// fingerprint the others are tried as well before the key counts as changed.
func (d *Dialer) Dial(ctx context.Context, begin func(*ssh.Client) error) (*ssh.Client, error) {
	d.mu.Lock()
	keyType := d.keyType
	d.mu.Unlock()
	var seen []string
	var first error
	for {
		var shown ssh.PublicKey
		client, err := d.try(ctx, algorithms(keyType, seen), &shown, begin)
		var changed *HostKeyChangedError
		switch {
		case err == nil:
			d.mu.Lock()
			d.keyType = shown.Type()
			d.mu.Unlock()
			return client, nil
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
func (d *Dialer) try(ctx context.Context, hostKeys []string, shown *ssh.PublicKey, begin func(*ssh.Client) error) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	auth, err := d.opts.methods()
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
			refused = d.pin.check(d.opts.Op, d.address, key)
			return refused
		},
	}
	stop := context.AfterFunc(ctx, func() { network.Close() })
	client, err := login(&timedConn{Conn: network, silence: d.opts.Silence}, d.address, config)
	if err == nil && begin != nil {
		if err = begin(client); err != nil {
			client.Close()
		}
	}
	if !stop() && err == nil { // the context ended: the connection is closed or about to be
		client.Close()
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
	return client, nil
}

func login(network net.Conn, address string, config *ssh.ClientConfig) (*ssh.Client, error) {
	transport, channels, requests, err := ssh.NewClientConn(network, address, config)
	if err != nil {
		return nil, err
	}
	return ssh.NewClient(transport, channels, requests), nil
}
