package link

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// Conn is one SSH connection with one SFTP session. It is safe for concurrent use.
type Conn struct {
	*sftp.Client
	Packet int // bytes of one read or write

	client *ssh.Client
	dead   chan struct{} // closed when the session has ended
	losses *atomic.Int64 // counts the ended sessions of a pool
	users  atomic.Int32  // operations on it now
}

// Hold keeps the connection counted as used beyond the function that it was given to; Release ends that.
func (c *Conn) Hold() { c.users.Add(1) }

// Release ends a Hold.
func (c *Conn) Release() { c.users.Add(-1) }

// Has reports whether the server has an SFTP extension.
func (c *Conn) Has(extension string) bool {
	_, ok := c.HasExtension(extension)
	return ok
}

// wait marks the connection dead when its session ends, for whatever reason.
func (c *Conn) wait() {
	_ = c.Wait() // why it ended is told by the operation that notices
	c.losses.Add(1)
	close(c.dead)
	c.client.Close()
}

// Break closes the connection: something showed that it is of no use any more.
func (c *Conn) Break() { c.client.Close() }

// Alive reports whether the session has not ended.
func (c *Conn) Alive() bool {
	select {
	case <-c.dead:
		return false
	default:
		return true
	}
}

// cancelGrace is how long an operation may take to end by itself after its context has: long enough
// for the answers under way. After it the connection, which then hangs, is closed under it.
const cancelGrace = 5 * time.Second

// run calls try and sees to it that it returns soon after ctx has ended.
func (c *Conn) run(ctx context.Context, try func(*Conn) error) error {
	c.Hold()
	defer c.Release()
	done := make(chan struct{})
	defer close(done)
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(cancelGrace)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			c.client.Close()
		}
	})
	defer stop()
	return try(c)
}

// final marks an error that is not the connection's.
type final struct{ error }

// Unwrap gives the error.
func (f final) Unwrap() error { return f.error }

// Final marks err as one that has nothing to do with the connection, whatever it looks like, such as
// that of a body which comes from the network itself. Do returns it without the mark.
func Final(err error) error {
	if err == nil {
		return nil
	}
	return final{err}
}

// Lost reports whether err says that the connection has broken, in contrast to an answer of the server.
func (c *Conn) Lost(err error) bool {
	var marked final
	var known *failure.Error
	var status *sftp.StatusError
	var network net.Error
	switch {
	case err == nil, errors.As(err, &marked), errors.As(err, &known):
		return false
	case errors.Is(err, sftp.ErrSSHFxConnectionLost), errors.Is(err, sftp.ErrSSHFxNoConnection):
		return true
	case errors.As(err, &status), errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return false
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.As(err, &network):
		return true
	default:
		return !c.Alive()
	}
}
