package dataport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/dataguardian/dataguardian/internal/failure"
)

const (
	connectTimeout = 10 * time.Second
	// openTimeout is how long a worker may take to open what is asked for; a folder is listed first.
	openTimeout = 3 * time.Minute
	maxTold     = 64 << 10 // bytes of a failure
)

// forwarded are the headers of a client's request that a worker looks at.
var forwarded = []string{"Range", "If-Range", "If-None-Match"}

// answered are the statuses that are answers; every other one tells a failure.
var answered = []int{http.StatusOK, http.StatusPartialContent, http.StatusNotModified, http.StatusRequestedRangeNotSatisfiable}

// Client asks workers for transfers.
type Client struct{ Key Key }

// Open asks the worker of an offer for a transfer, with the Range, If-Range and If-None-Match of header.
// The answer is 200, 206, 304 or 416; its body must be closed, which ends the transfer, as the end of
// ctx does. A body that breaks off ends in an error other than io.EOF. Errors: those of the source;
// Unreachable where the port does not answer; ConfigInvalid and AuthFailed where API and worker do
// not have the same master key.
func (c Client) Open(ctx context.Context, offer Offer, request Request, header http.Header) (*http.Response, error) {
	const op = "ask the worker for a transfer"
	if err := c.Key.check(offer); err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, op, err, "Check that the API and the worker run with the same master key; restart the one that does not.")
	}
	sealed, err := c.Key.mint(request, offer.Certificate, time.Now())
	if err != nil {
		return nil, failure.Wrap(failure.Unknown, op, err, "")
	}
	out, err := http.NewRequestWithContext(ctx, http.MethodGet, offer.URL+transferPath, nil)
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, op, err, "Check DATAGUARDIAN_DATA_URL of the worker.")
	}
	for _, name := range forwarded {
		if value := header.Get(name); value != "" {
			out.Header.Set(name, value)
		}
	}
	out.Header.Set("Authorization", ticketScheme+sealed)
	answer, err := transport(offer).RoundTrip(out)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, failure.Wrap(failure.Unreachable, op, err, fmt.Sprintf(
			"The API must reach the worker's data port at %s; set DATAGUARDIAN_DATA_LISTEN and DATAGUARDIAN_DATA_URL of the worker.", offer.URL))
	}
	if !slices.Contains(answered, answer.StatusCode) {
		return nil, errors.Join(toldBy(answer), answer.Body.Close())
	}
	return answer, nil
}

// transport makes one connection for one transfer, and goes through no proxy.
func transport(offer Offer) *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSClientConfig:       expecting(offer.Certificate),
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: openTimeout,
		DisableKeepAlives:     true,
		DisableCompression:    true,
		ReadBufferSize:        64 << 10,
	}
}

func toldBy(answer *http.Response) error {
	const op = "ask the worker for a transfer"
	var t told
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxTold))
	if err != nil || answer.Header.Get("Content-Type") != failureType || json.Unmarshal(text, &t) != nil {
		return failure.New(failure.Unreachable, op, "the port answered "+answer.Status+", which a worker does not", "Check DATAGUARDIAN_DATA_URL of the worker.")
	}
	return &failure.Error{Class: failure.Class(t.Class), Hint: t.Hint, Cause: errors.New(t.Message)}
}
