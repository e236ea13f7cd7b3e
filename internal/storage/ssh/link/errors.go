package link

import (
	"fmt"
	"strings"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/sshdial"
)

const sftpHint = "Enable the sftp subsystem for this user, and let the user's shell start-up files print nothing."

// sessionFailed classifies what is special to a connection that gives no SFTP session; the rest is left to
// package sshdial.
func sessionFailed(address string, err error) error {
	text := err.Error()
	say := func(class failure.Class, what, hint string) error {
		return failure.Wrap(class, opening, fmt.Errorf("%s: %s: %w", address, what, err), hint)
	}
	switch {
	case strings.Contains(text, "version packet") && sshdial.Ended(err): // it was stopped just now, or its SFTP server can not start
		return say(failure.Unreachable, "the SFTP session ended as it began", sshdial.UnreachableHint+" "+sftpHint)
	case strings.Contains(text, "subsystem request failed"), strings.Contains(text, "version packet"):
		return say(failure.ConfigInvalid, "the server gives no SFTP session", sftpHint)
	case strings.Contains(text, "administratively prohibited"), strings.Contains(text, "open failed"):
		return say(failure.ConfigInvalid, "the server allows no session", "Raise MaxSessions in the server's sshd_config to at least 1.")
	default:
		return err
	}
}
