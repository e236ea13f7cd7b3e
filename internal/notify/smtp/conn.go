package smtp

import (
	"context"
	"errors"
	"net"
	"time"
)

// maxRead is how many bytes of a server are read in one delivery: greetings, certificates and answers take a few
// thousand. The mail library keeps a line, or an answer of many lines, until it ends.
const maxRead = 256 << 10

var errTalksTooMuch = errors.New("the server says more than a mail server has to")

// bounded is a connection whose deadlines never lie after the end of the whole delivery, as a server that sends a byte
// now and then would move them on for ever, and from which only so much is read. Reads come one after the other.
type bounded struct {
	net.Conn
	last time.Time
	left int
}

// Read ends with errTalksTooMuch.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTalksTooMuch
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func deadlineOf(ctx context.Context) time.Time {
	at, _ := ctx.Deadline()
	return at
}

// deadlineSkew is by how much a connection may see the deadline pass before the context does.
const deadlineSkew = 20 * time.Millisecond

func (b *bounded) bound(t time.Time) time.Time {
	if t.IsZero() || t.After(b.last) {
		return b.last
	}
	return t
}

// SetDeadline bounds the deadline.
func (b *bounded) SetDeadline(t time.Time) error { return b.Conn.SetDeadline(b.bound(t)) }

// SetReadDeadline bounds the deadline.
func (b *bounded) SetReadDeadline(t time.Time) error { return b.Conn.SetReadDeadline(b.bound(t)) }

// SetWriteDeadline bounds the deadline.
func (b *bounded) SetWriteDeadline(t time.Time) error { return b.Conn.SetWriteDeadline(b.bound(t)) }
