// Package notify turns events into messages and sends them: the contract of a channel, the templates, and what
// the channels that speak HTTP have in common. What happened, and who is told, others decide.
package notify

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Timeout bounds one message to one recipient, from the first packet to the last byte of the answer.
const Timeout = 20 * time.Second

// maxAnswer is how much of a server's answer is read, in bytes.
const maxAnswer = 64 << 10

// Message is what a channel sends. Text and HTML are finished, within the channel's limits.
type Message struct {
	// DeliveryID is the same for every attempt, so that whoever gets it twice can tell: the Message-ID of a
	// mail, the X-DataGuardian-Delivery header of a request.
	DeliveryID string
	Subject    string
	Text       string
	HTML       string // "" for channels without
	Event      Event
	Digest     []Event // what a digest stands for, the worst first, then the oldest; nil for a single event

	template *Template // what Text was made by
}

// Channel sends messages to one place.
//
//   - Recipients are who gets a message of their own; one that has it is not sent it again when another's
//     failed. A channel that sends one message to all has the single recipient "".
//   - Send sends to one of them and returns what the server said, which may be empty. It ends when ctx does,
//     and within Timeout in any case.
//   - An error is classified: a permanent class is not tried again. RetryAfter tells when the server wants
//     to be asked again, and MayHaveArrived that the message may be there in spite of the error.
//   - CarriesID reports whether its receivers can tell by DeliveryID that they have a message already. Those of other
//     channels are told in the text (Event.Repeat).
//   - Neither an answer nor an error holds a secret of the configuration, nor an address's path or query.
type Channel interface {
	Recipients() []string
	CarriesID() bool
	Send(ctx context.Context, m Message, to string) (answer string, err error)
}

// retryAfter is an error with the time that the server asked to wait.
type retryAfter struct {
	error
	wait time.Duration
}

func (r retryAfter) Unwrap() error { return r.error }

// maxRetryAfter bounds what a server may ask for.
const maxRetryAfter = time.Hour

// WithRetryAfter notes how long the server asks to wait.
func WithRetryAfter(err error, wait time.Duration) error {
	if err == nil || wait <= 0 {
		return err
	}
	return retryAfter{err, min(wait, maxRetryAfter)}
}

// RetryAfter is how long the server asked to wait, 0 when it did not.
func RetryAfter(err error) time.Duration {
	var wanted retryAfter
	if errors.As(err, &wanted) {
		return wanted.wait
	}
	return 0
}

// unclear is an error after which nobody knows whether the message arrived.
type unclear struct{ error }

func (u unclear) Unwrap() error { return u.error }

// MayHaveArrived reports whether a message may have arrived although sending it failed with err: the request was on its
// way, and no answer came, or that of a gateway whose server did not answer.
func MayHaveArrived(err error) bool {
	var u unclear
	return errors.As(err, &u)
}

// RootCAs are the certificates that a configuration trusts: the system's, and those of pem. nil: the system's.
func RootCAs(pem string) (*x509.CertPool, error) {
	if pem == "" {
		return nil, nil //nolint:nilnil // what crypto/tls takes for the system's
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM([]byte(pem)) {
		return nil, failure.New(failure.ConfigInvalid, "read ca_certificate", "it holds no PEM certificate", "Paste the certificate with its BEGIN and END lines.")
	}
	return pool, nil
}

// Limit is the most characters that a text may have on a type of channel.
func Limit(t domain.ChannelType) int {
	switch t {
	case domain.ChannelWhatsApp:
		return 4096
	case domain.ChannelWebhook:
		return 3000 // of a section of Slack's
	default:
		return 100_000
	}
}
