package sshdial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// UnreachableHint is what to do about a server that does not answer.
const UnreachableHint = "Check that the server runs sshd on this port and that the worker reaches it (address, firewall)."

const (
	loginHint   = "Check username and password or key: the same login must work with OpenSSH's own client, and the key must be in the user's authorized_keys."
	droppedHint = "Try again; if it stays, raise MaxStartups in the server's sshd_config and look whether it blocks this worker's address."
)

// ErrDropped is what errors.Is finds when a server hung up before the login: sshd does that when too
// many are under way.
var ErrDropped = errors.New("the server hung up during the login")

// failed classifies what went wrong on the way to a connection that can be used.
func (d *Dialer) failed(ctx context.Context, err error) error {
	var known *failure.Error
	if errors.As(err, &known) && ctx.Err() != nil { // begin saw the connection close and could not know why
		err, known = ctx.Err(), nil
	}
	text := err.Error()
	say := func(class failure.Class, what, hint string) error {
		return failure.Wrap(class, d.opts.Op, fmt.Errorf("%s: %s: %w", d.address, what, err), hint)
	}
	var network net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case known != nil: // by begin
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &network) && network.Timeout(), errors.Is(err, os.ErrDeadlineExceeded):
		return say(failure.Timeout, "no answer in time", UnreachableHint)
	case strings.Contains(text, "unable to authenticate"), strings.Contains(text, "Too many authentication failures"), errors.Is(err, errSecondFactor):
		return say(failure.AuthFailed, fmt.Sprintf("the server refuses user %q", d.opts.User), loginHint)
	case strings.Contains(text, "no common algorithm"):
		return say(failure.Unsupported, "client and server have no algorithm in common", "Update the server, or enable current algorithms in its sshd_config.")
	case Ended(err):
		return failure.Wrap(failure.Unreachable, d.opts.Op, fmt.Errorf("%s: %w: %w", d.address, ErrDropped, err), droppedHint)
	case errors.Is(err, syscall.ECONNREFUSED):
		return say(failure.Unreachable, "nothing listens there", UnreachableHint)
	default:
		return say(failure.Unreachable, "no connection", UnreachableHint)
	}
}

// Ended reports whether the other side closed the connection.
func Ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
