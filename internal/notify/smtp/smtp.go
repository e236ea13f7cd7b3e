// Package smtp sends notifications as mail: one message to all recipients, as text and as HTML.
package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/notify"
	"github.com/dataguardian/dataguardian/internal/outbound"
)

// Channel is a mail server with a sender and recipients.
type Channel struct {
	config  domain.ChannelConfig
	tls     *tls.Config
	timeout time.Duration
}

var _ notify.Channel = (*Channel)(nil)

// New makes a channel of a configuration that has been validated. Errors: ConfigInvalid. timeout 0 is
// notify.Timeout.
func New(config domain.ChannelConfig, timeout time.Duration) (*Channel, error) {
	roots, err := notify.RootCAs(config.CACertificate)
	if err != nil {
		return nil, err
	}
	if timeout <= 0 {
		timeout = notify.Timeout
	}
	return &Channel{config: config, timeout: timeout, tls: &tls.Config{ServerName: config.Host, RootCAs: roots, MinVersion: tls.VersionTLS12}}, nil
}

// Recipients is one: the server passes the message on to everybody.
func (c *Channel) Recipients() []string { return []string{""} }

// Send hands the message to the server, for all recipients.
func (c *Channel) Send(ctx context.Context, m notify.Message, _ string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, c.timeout)
	defer stop()
	message, err := c.message(m)
	if err != nil {
		return "", failure.Wrap(failure.ConfigInvalid, "write the mail", err, "Check the addresses of the channel.")
	}
	client, err := gomail.NewClient(c.config.Host, c.options(ctx)...)
	if err != nil {
		return "", failure.Wrap(failure.ConfigInvalid, "use the mail server", err, "Check the configuration of the channel.")
	}
	if err := client.DialAndSendWithContext(ctx, message); err != nil && !message.IsDelivered() {
		return "", c.classify(ctx, err)
	}
	return notify.Cut(strings.TrimSpace(message.ServerResponse()), 300), nil
}

func (c *Channel) options(ctx context.Context) []gomail.Option {
	dialer := outbound.Dialer(outbound.Options{Timeout: c.timeout, AllowLinkLocal: c.config.AllowLinkLocal})
	implicit := c.config.Encryption == domain.MailTLS
	options := []gomail.Option{
		gomail.WithPort(c.config.Port), gomail.WithTimeout(c.timeout), gomail.WithTLSConfig(c.tls),
		gomail.WithDialContextFunc(func(dialling context.Context, network, address string) (net.Conn, error) {
			raw, err := dialer.DialContext(dialling, network, address)
			if err != nil {
				return nil, err
			}
			conn := net.Conn(hurried{raw, deadlineOf(ctx)})
			if err := conn.SetDeadline(time.Time{}); err != nil {
				_ = raw.Close()
				return nil, err
			}
			if implicit {
				return tls.Client(conn, c.tls), nil
			}
			return conn, nil
		}),
	}
	switch c.config.Encryption {
	case domain.MailTLS:
		options = append(options, gomail.WithSSL())
	case domain.MailPlain:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if c.config.Username != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(c.config.Username), gomail.WithPassword(c.config.Password))
	}
	return options
}

// hurried is a connection whose deadlines never lie after the end of the whole delivery: a server that sends
// a byte now and then would move them on for ever.
type hurried struct {
	net.Conn
	last time.Time
}

func deadlineOf(ctx context.Context) time.Time {
	at, _ := ctx.Deadline()
	return at
}

func (h hurried) bound(t time.Time) time.Time {
	if t.IsZero() || t.After(h.last) {
		return h.last
	}
	return t
}

// SetDeadline bounds the deadline.
func (h hurried) SetDeadline(t time.Time) error { return h.Conn.SetDeadline(h.bound(t)) }

// SetReadDeadline bounds the deadline.
func (h hurried) SetReadDeadline(t time.Time) error { return h.Conn.SetReadDeadline(h.bound(t)) }

// SetWriteDeadline bounds the deadline.
func (h hurried) SetWriteDeadline(t time.Time) error { return h.Conn.SetWriteDeadline(h.bound(t)) }

// message is the mail. Its Message-ID is the delivery's, so that a mail that is sent a second time after a crash
// can be told from another; what is about one execution refers to the same id, and so is one thread.
func (c *Channel) message(m notify.Message) (*gomail.Msg, error) {
	message := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := message.From(c.config.From); err != nil {
		return nil, err
	}
	if err := message.To(c.config.To...); err != nil {
		return nil, err
	}
	domainName := senderDomain(c.config.From)
	message.Subject(m.Subject)
	message.SetDate()
	message.SetMessageIDWithValue(fmt.Sprintf("dataguardian-%s@%s", m.DeliveryID, domainName))
	if id := m.Event.ExecutionID; id != "" && len(m.Digest) == 0 {
		thread := fmt.Sprintf("<dataguardian-execution-%s@%s>", id, domainName)
		message.SetGenHeader(gomail.HeaderInReplyTo, thread)
		message.SetGenHeader(gomail.HeaderReferences, thread)
	}
	message.SetGenHeader(gomail.Header("Auto-Submitted"), "auto-generated")
	message.SetGenHeader(gomail.Header("X-DataGuardian-Delivery"), m.DeliveryID)
	message.SetGenHeader(gomail.Header("X-DataGuardian-Event"), string(m.Event.Type))
	if m.Event.Severity == domain.SeverityCritical {
		message.SetImportance(gomail.ImportanceHigh)
	}
	message.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		message.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return message, nil
}

func senderDomain(from string) string {
	if address, err := mail.ParseAddress(from); err == nil {
		if _, name, found := strings.Cut(address.Address, "@"); found && name != "" {
			return name
		}
	}
	return "dataguardian.invalid"
}

// classify reads what the server said: 5yz stays, 4yz passes (RFC 5321, 4.2.1), 53x is about credentials.
func (c *Channel) classify(ctx context.Context, err error) error {
	op := "send mail through " + net.JoinHostPort(c.config.Host, fmt.Sprint(c.config.Port))
	code := codeOf(err)
	switch {
	case code == 530 || code == 534 || code == 535:
		return failure.Wrap(failure.AuthFailed, op, err, "Check username and password of the channel.")
	case code >= 500:
		return failure.Wrap(failure.ConfigInvalid, op, err, "The server refuses the mail for good; see what it said.")
	case code >= 400:
		return failure.Wrap(failure.Unreachable, op, err, "It is tried again.")
	case errors.Is(err, gomail.ErrNoSupportedAuthDiscovered), strings.Contains(err.Error(), "STARTTLS"):
		return failure.Wrap(failure.ConfigInvalid, op, err, "The server offers no such encryption or sign-in; check encryption and port.")
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return failure.New(failure.Timeout, op, "no answer in time", "It is tried again.")
	default:
		return notify.NetworkError(ctx, op, err)
	}
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
