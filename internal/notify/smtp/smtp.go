// Package smtp sends notifications as mail: one message to each recipient, as text and as HTML.
package smtp

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/mail"
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

// Recipients are the addresses. Each gets a mail of its own: a server that refuses one recipient of several would have
// the whole mail refused, or leave nobody knowing who has it.
func (c *Channel) Recipients() []string { return c.config.To }

// CarriesID is true: the Message-ID.
func (c *Channel) CarriesID() bool { return true }

// Send hands the message to the server, for one recipient.
func (c *Channel) Send(ctx context.Context, m notify.Message, to string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, c.timeout)
	defer stop()
	message, err := c.message(m, to)
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
	return notify.Shown(message.ServerResponse(), false, c.secrets()), nil
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
			conn := net.Conn(&bounded{Conn: raw, last: deadlineOf(ctx), left: maxRead})
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
		options = append(options, gomail.WithOpportunisticSMTPAuth(mechanisms...), gomail.WithUsername(c.config.Username), gomail.WithPassword(c.config.Password))
	}
	return options
}

// mechanisms are the ways of signing in, the best first. They are named, because the library's own search takes an
// encrypted connection that it did not dial itself for an open one.
var mechanisms = []gomail.SMTPAuthType{
	gomail.SMTPAuthSCRAMSHA256PLUS, gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1PLUS, gomail.SMTPAuthSCRAMSHA1,
	gomail.SMTPAuthCramMD5, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin,
}

// message is the mail. Its Message-ID is the delivery's, so that a mail that is sent a second time after a crash
// can be told from another; what is about one execution refers to the same id, and so is one thread.
func (c *Channel) message(m notify.Message, to string) (*gomail.Msg, error) {
	message := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := message.From(c.config.From); err != nil {
		return nil, err
	}
	if err := message.To(to); err != nil {
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
