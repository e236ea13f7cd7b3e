package link

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

const (
	unreachableHint = "Check that the server runs sshd on this port and that the worker reaches it (address, firewall)."
	loginHint       = "Check username and password or key: the same login must work with sftp(1), and the key must be in the user's authorized_keys."
	droppedHint     = "Try again; if it stays, raise MaxStartups in the server's sshd_config and look whether it blocks this worker's address."
	sftpHint        = "Enable the sftp subsystem for this user, and let the user's shell start-up files print nothing."
)

// errDropped is what errors.Is finds when a server hung up before the login: sshd does that when too
// many are under way.
var errDropped = errors.New("the server hung up during the login")

// failed classifies what went wrong on the way to a session.
func (d *dialer) failed(ctx context.Context, err error) error {
	const op = "open ssh storage"
	text := err.Error()
	say := func(class failure.Class, what, hint string) error {
		return failure.Wrap(class, op, fmt.Errorf("%s: %s: %w", d.address, what, err), hint)
	}
	var network net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &network) && network.Timeout(), errors.Is(err, os.ErrDeadlineExceeded):
		return say(failure.Timeout, "no answer in time", unreachableHint)
	case strings.Contains(text, "unable to authenticate"), strings.Contains(text, "Too many authentication failures"), errors.Is(err, errSecondFactor):
		return say(failure.AuthFailed, fmt.Sprintf("the server refuses user %q", d.opts.User), loginHint)
	case strings.Contains(text, "no common algorithm"):
		return say(failure.Unsupported, "client and server have no algorithm in common", "Update the server, or enable current algorithms in its sshd_config.")
	case strings.Contains(text, "version packet") && ended(err): // it was stopped just now, or its SFTP server can not start
		return say(failure.Unreachable, "the SFTP session ended as it began", unreachableHint+" "+sftpHint)
	case strings.Contains(text, "subsystem request failed"), strings.Contains(text, "version packet"):
		return say(failure.ConfigInvalid, "the server gives no SFTP session", sftpHint)
	case strings.Contains(text, "administratively prohibited"), strings.Contains(text, "open failed"):
		return say(failure.ConfigInvalid, "the server allows no session", "Raise MaxSessions in the server's sshd_config to at least 1.")
	case ended(err):
		return failure.Wrap(failure.Unreachable, op, fmt.Errorf("%s: %w: %w", d.address, errDropped, err), droppedHint)
	case errors.Is(err, syscall.ECONNREFUSED):
		return say(failure.Unreachable, "nothing listens there", unreachableHint)
	default:
		return say(failure.Unreachable, "no connection", unreachableHint)
	}
}

// ended reports whether the other side closed the connection.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
