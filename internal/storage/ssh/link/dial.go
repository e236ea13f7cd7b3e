package link

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/sshdial"
)

// opening is the operation that errors name.
const opening = "open ssh storage"

// Options say where to connect and as whom; see sshdial.Options.
type Options struct {
	Host       string
	Port       int
	User       string
	Password   string
	PrivateKey string
	Passphrase string
	HostKey    string
	Silence    time.Duration

	// Patience is how long an operation waits for a server that is away; 0 is one minute.
	Patience time.Duration
	// MaxConnections is how many connections there may be; 0 is 4.
	MaxConnections int
}

// The payloads of one read or write. Every server takes 32 KiB; OpenSSH takes 255 KiB since ever and
// says so by limits@openssh.com since 8.5. Fewer and larger requests cost it fewer system calls.
const (
	safePacket  = 32 << 10
	largePacket = 255 << 10
)

type dialer struct {
	*sshdial.Dialer
	losses atomic.Int64 // connections that ended
}

func newDialer(o Options) (*dialer, error) {
	d, err := sshdial.New(sshdial.Options{
		Op: opening, Host: o.Host, Port: o.Port, User: o.User, Password: o.Password,
		PrivateKey: o.PrivateKey, Passphrase: o.Passphrase, HostKey: o.HostKey, Silence: o.Silence,
	})
	if err != nil {
		return nil, err
	}
	return &dialer{Dialer: d}, nil
}

// dial opens a connection with an SFTP session.
func (d *dialer) dial(ctx context.Context) (*Conn, error) {
	var conn *Conn
	_, err := d.Dial(ctx, func(client *ssh.Client) (err error) {
		if conn, err = openSession(client); err != nil {
			return sessionFailed(d.Address(), err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	conn.losses = &d.losses
	go d.Keepalive(conn.dead, conn.probe)
	go conn.wait()
	return conn, nil
}

func openSession(client *ssh.Client) (*Conn, error) {
	packet := safePacket
	if strings.HasPrefix(string(client.ServerVersion()), "SSH-2.0-OpenSSH_") {
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
		return nil, err
	}
	return &Conn{Client: session, Packet: packet, client: client, dead: make(chan struct{})}, nil
}

func openSFTP(client *ssh.Client, packet int) (*sftp.Client, error) {
	return sftp.NewClient(client, sftp.MaxPacketUnchecked(packet), sftp.UseConcurrentWrites(true), sftp.UseConcurrentReads(true))
}
