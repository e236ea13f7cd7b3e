package smtp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/notify"
)

// classify reads what the server said: 5yz stays, 4yz passes (RFC 5321, 4.2.1), 53x is about credentials.
func (c *Channel) classify(ctx context.Context, err error) error {
	op := "send mail through " + net.JoinHostPort(c.config.Host, fmt.Sprint(c.config.Port))
	code, cause := codeOf(err), err
	err = notify.ShownError(err, c.secrets()) // which quotes the server
	switch {
	case errors.Is(cause, errTalksTooMuch), strings.Contains(cause.Error(), errTalksTooMuch.Error()):
		return failure.Wrap(failure.Unreachable, op, errTalksTooMuch, "Check that a mail server is there.")
	case code == 530 || code == 534 || code == 535:
		return failure.Wrap(failure.AuthFailed, op, err, "Check username and password of the channel.")
	case code >= 500:
		return failure.Wrap(failure.ConfigInvalid, op, err, "The server refuses the mail for good; see what it said.")
	case code >= 400:
		return failure.Wrap(failure.Unreachable, op, err, "It is tried again.")
	case errors.Is(cause, gomail.ErrNoSupportedAuthDiscovered), strings.Contains(cause.Error(), "STARTTLS"):
		return failure.Wrap(failure.ConfigInvalid, op, err, "The server offers no such encryption or sign-in; check encryption and port.")
	case time.Until(deadlineOf(ctx)) < deadlineSkew: // whatever was being read then
		return failure.New(failure.Timeout, op, "no answer in time", "It is tried again.")
	default:
		return notify.NetworkError(ctx, op, err)
	}
}

// secrets are the channel's, and how signing in writes them, which a server may repeat as a command that it does not know.
func (c *Channel) secrets() []string {
	secrets := c.config.SecretValues()
	if c.config.Password != "" {
		for _, text := range []string{c.config.Password, "\x00" + c.config.Username + "\x00" + c.config.Password} {
			secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte(text)), base64.RawStdEncoding.EncodeToString([]byte(text)))
		}
	}
	return secrets
}

func codeOf(err error) int {
	var said *textproto.Error
	if errors.As(err, &said) {
		return said.Code
	}
	var failed *gomail.SendError
	if errors.As(err, &failed) {
		return failed.ErrorCode()
	}
	return 0
}
