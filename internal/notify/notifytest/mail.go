// Package notifytest has real servers that speak what each kind of channel speaks, for tests: a mail server, and
// HTTP servers that answer as Slack, Evolution API and the WhatsApp Cloud API document, well or badly.
package notifytest

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"net/mail"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// The mail server's only account.
const (
	MailUser     = "dataguardian"
	MailPassword = "mail-password-1"
)

// MailServer is a mail server on a free port. Fail, when set, is what it answers to the message.
type MailServer struct {
	Host string
	Port int
	CA   string // PEM of its certificate

	mu   sync.Mutex
	mail []*mail.Message
	raw  []string
	to   [][]string
	fail error

	offers, signedIn []string
}

// Mail starts a mail server that wants encryption (domain.MailStartTLS or MailTLS) and a sign-in, or with
// domain.MailPlain neither.
func Mail(t testing.TB, encryption string) *MailServer {
	t.Helper()
	certified := httptest.NewUnstartedServer(nil) // it has a certificate for 127.0.0.1
	certified.StartTLS()
	t.Cleanup(certified.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := &MailServer{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, CA: pemOf(certified.Certificate()), offers: []string{sasl.Plain}}
	server := smtp.NewServer(smtp.BackendFunc(func(conn *smtp.Conn) (smtp.Session, error) {
		return &session{server: m, conn: conn, open: encryption == domain.MailPlain}, nil
	}))
	server.Domain = "mail.example"
	config := &tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS12}
	switch encryption {
	case domain.MailTLS:
		listener = tls.NewListener(listener, config)
	case domain.MailStartTLS:
		server.TLSConfig = config
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return m
}

// Config is a channel to the server.
func (m *MailServer) Config(encryption string) domain.ChannelConfig {
	config := domain.ChannelConfig{
		Host: m.Host, Port: m.Port, Encryption: encryption, From: "DataGuardian <backups@example.com>",
		To: []string{"ops@example.com", "boss@example.com"}, CACertificate: m.CA,
	}
	if encryption != domain.MailPlain {
		config.Username, config.Password = MailUser, MailPassword
	}
	return config
}

// FailWith is what it answers to messages from now on; code 0 takes them.
func (m *MailServer) FailWith(code int, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = nil
	if code != 0 {
		m.fail = &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: text}
	}
}

// Received is every message that it has taken, with its recipients and as it came.
func (m *MailServer) Received() (messages []*mail.Message, recipients [][]string, raw []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]*mail.Message(nil), m.mail...), append([][]string(nil), m.to...), append([]string(nil), m.raw...)
}

type session struct {
	server   *MailServer
	conn     *smtp.Conn
	open     bool
	signedIn bool
	to       []string
}

// Mail takes a sender that has signed in.
func (s *session) Mail(string, *smtp.MailOptions) error {
	if !s.open && !s.signedIn {
		return smtp.ErrAuthRequired
	}
	return nil
}

// Rcpt takes every recipient but those at nowhere.example.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasSuffix(to, "@nowhere.example") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such user"}
	}
	s.to = append(s.to, to)
	return nil
}

// Data takes the message.
func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.server.fail != nil {
		return s.server.fail
	}
	message, err := mail.ReadMessage(strings.NewReader(string(text)))
	if err != nil {
		return errors.New("not a mail: " + err.Error())
	}
	s.server.mail, s.server.to, s.server.raw = append(s.server.mail, message), append(s.server.to, s.to), append(s.server.raw, string(text))
	return nil
}

// Reset forgets the message.
func (s *session) Reset() { s.to = nil }

// Logout ends the session.
func (s *session) Logout() error { return nil }

// Address is host:port.
func (m *MailServer) Address() string { return net.JoinHostPort(m.Host, strconv.Itoa(m.Port)) }

// TrickleTCP accepts connections and sends a byte now and then, never a line end.
func TrickleTCP(t testing.TB, every time.Duration) *net.TCPAddr {
	t.Helper()
	return serveTCP(t, func(conn net.Conn) { trickle(conn, "2", every) })
}
