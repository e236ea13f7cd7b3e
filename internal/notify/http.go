package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/outbound"
)

// Answer is what an HTTP server said, as far as it was read.
type Answer struct {
	Status     int
	Text       string // as it came: it may hold secrets, String does not
	RetryAfter time.Duration

	cutOff  bool // there was more, or it broke off
	secrets []string
}

// String is what people are shown: the status and the beginning of the text.
func (a Answer) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", a.Status, http.StatusText(a.Status), Shown(a.Text, a.cutOff, a.secrets)))
}

// Do makes a request with a client of internal/outbound. A server that was not reached, or did not answer in
// time, is an error; any answer of its is none, see Check. Nobody is shown secrets, which the server may repeat.
func Do(client *http.Client, request *http.Request, secrets []string) (Answer, error) {
	request.Header.Set("User-Agent", "DataGuardian")
	var wroteRequest atomic.Bool
	request = request.WithContext(httptrace.WithClientTrace(request.Context(), &httptrace.ClientTrace{
		WroteRequest: func(info httptrace.WroteRequestInfo) { wroteRequest.Store(info.Err == nil) },
	}))
	answer, err := client.Do(request) //nolint:gosec // internal/outbound refuses what may not be reached
	if err != nil {
		classified := NetworkError(request.Context(), "connect to "+request.URL.Host, ShownError(withoutURL(err), secrets))
		if wroteRequest.Load() {
			classified = unclear{classified}
		}
		return Answer{}, classified
	}
	defer func() { _ = answer.Body.Close() }()
	out := Answer{Status: answer.StatusCode, RetryAfter: retryAfterOf(answer.Header.Get("Retry-After"), time.Now()), secrets: secrets}
	// The rest of a huge answer is not read. One that breaks off was an answer all the same: its status says whether the
	// message was taken, and one that was taken is not to be sent again for the sake of a few words.
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	out.Text, out.cutOff = string(text), err != nil || len(text) == maxAnswer
	return out, nil
}

// Check classifies an answer by its status: nil for success.
func (a Answer) Check(op string) error {
	if a.Status/100 == 2 {
		return nil
	}
	said := fmt.Errorf("the server answered %s", a)
	fail := func(class failure.Class, hint string) error {
		return WithRetryAfter(&failure.Error{Class: class, Op: op, Hint: hint, Cause: said}, a.RetryAfter)
	}
	switch {
	case a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden:
		return fail(failure.AuthFailed, "Check the credentials of the channel.")
	case a.Status == http.StatusNotFound || a.Status == http.StatusGone:
		return fail(failure.NotFound, "Check the address of the channel: nothing is there.")
	case a.Status == http.StatusBadGateway || a.Status == http.StatusGatewayTimeout:
		return unclear{fail(failure.Unreachable, "It is tried again.")}
	case a.Status == http.StatusTooManyRequests, a.Status == http.StatusRequestTimeout, a.Status == http.StatusTooEarly, a.Status >= 500:
		return fail(failure.Unreachable, "It is tried again.")
	case a.Status/100 == 3:
		return fail(failure.ConfigInvalid, "Redirects are not followed; give the final address.")
	default:
		return fail(failure.ConfigInvalid, "The server does not take what it was sent; see what it said.")
	}
}

// NetworkError classifies an error of a connection.
func NetworkError(ctx context.Context, op string, err error) error {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		network   net.Error
	)
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return err
	case errors.Is(err, outbound.ErrForbiddenAddress):
		return failure.Wrap(failure.ConfigInvalid, op, err, "Set allow_link_local if it is really meant.")
	case errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid), errors.As(err, &verify):
		return failure.Wrap(failure.ConfigInvalid, op, err, "Give the server a certificate for its name, or trust its own with ca_certificate.")
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return failure.Wrap(failure.ConfigInvalid, op, err, "The server does not speak TLS there; check the address and port.")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return failure.Wrap(failure.Timeout, op, errors.New("no answer in time"), "It is tried again.")
	default:
		return failure.Wrap(failure.Unreachable, op, err, "Check that the server runs and that the worker reaches it.")
	}
}

// withoutURL takes the address out of an error: its path may be a token.
func withoutURL(err error) error {
	var about *url.Error
	if errors.As(err, &about) {
		return about.Err
	}
	return err
}

// retryAfterOf reads the header's two forms: seconds, or a date.
func retryAfterOf(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(strings.TrimSpace(header)); err == nil {
		return time.Duration(max(seconds, 0)) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
