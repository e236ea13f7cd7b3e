// Package client is a typed client of the REST API, for the demo, the integration tests and the
// command line. It knows the API by its documented JSON, not by the server's code.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// callTimeout bounds one call; the longest waits for two connection tests.
	callTimeout = 3 * time.Minute
	// maxAnswer bounds what is read of an answer that is not a stream.
	maxAnswer = 64 << 20
	// userAgent tells people whose session it is in the list of theirs.
	userAgent = "dataguardian"
)

// Client talks to one API server. It is safe for concurrent use.
type Client struct {
	base  string
	http  *http.Client
	token atomic.Pointer[string]

	// Datasources, StorageLocations and BackupJobs are the resources with the usual five calls.
	Datasources      Resource[DatasourceDocument, Datasource]
	StorageLocations Resource[StorageLocationDocument, StorageLocation]
	BackupJobs       Resource[BackupJobDocument, BackupJob]
}

// Option changes how a Client is made.
type Option func(*Client)

// WithHTTPClient uses another HTTP client, for TLS settings or tests. It must have no timeout of
// its own: event streams stay open.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithToken starts with a session token instead of a sign-in.
func WithToken(token string) Option { return func(c *Client) { c.SetToken(token) } }

// New returns a client of the API at baseURL, for example http://127.0.0.1:8080.
func New(baseURL string, options ...Option) *Client {
	c := &Client{base: strings.TrimRight(baseURL, "/"), http: &http.Client{}}
	for _, option := range options {
		option(c)
	}
	// The API redirects nobody: an answer that does would have the token, and the body with it, sent elsewhere.
	direct := *c.http
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &direct
	c.Datasources = Resource[DatasourceDocument, Datasource]{c, "/api/datasources"}
	c.StorageLocations = Resource[StorageLocationDocument, StorageLocation]{c, "/api/storage-locations"}
	c.BackupJobs = Resource[BackupJobDocument, BackupJob]{c, "/api/backup-jobs"}
	return c
}

// SetToken replaces the session token that is sent; "" sends none.
func (c *Client) SetToken(token string) { c.token.Store(&token) }

// Token is the session token that is sent, "" for none.
func (c *Client) Token() string {
	if token := c.token.Load(); token != nil {
		return *token
	}
	return ""
}

// Field is one wrong field of a request.
type Field struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

// Problem is an error answer of the API (RFC 9457).
type Problem struct {
	Title       string   `json:"title"`
	Status      int      `json:"status"`
	Detail      string   `json:"detail"`
	Fields      []Field  `json:"errors"`
	Holders     []string `json:"holders"`      // 409: what still needs the thing
	ExecutionID string   `json:"execution_id"` // the execution that it is about

	// RetryAfter is how long the server asks to wait (429), 0 when it does not.
	RetryAfter time.Duration `json:"-"`
}

// Error reads: status title: detail, then the fields.
func (p *Problem) Error() string {
	text := fmt.Sprintf("%d %s: %s", p.Status, p.Title, p.Detail)
	for _, f := range p.Fields {
		text += fmt.Sprintf("\n  %s: %s", f.Location, f.Message)
	}
	return text
}

// Status is the HTTP status of an error answer in err's chain, 0 when there is none.
func Status(err error) int {
	var p *Problem
	if errors.As(err, &p) {
		return p.Status
	}
	return 0
}

// call sends input as JSON (nil for no body) and decodes the answer into output (nil to drop it).
func (c *Client) call(ctx context.Context, method, path string, query url.Values, input, output any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := c.send(ctx, method, path, query, input, nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if output == nil || answer.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(output); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}

// send makes a request and returns a good answer, whose body the caller closes.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, input any, header http.Header) (*http.Response, error) {
	var body io.Reader
	if input != nil {
		text, err := json.Marshal(input)
		if err != nil {
			return nil, fmt.Errorf("%s %s: encode the request: %w", method, path, err)
		}
		body = bytes.NewReader(text)
	}
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("User-Agent", userAgent)
	for name, values := range header {
		request.Header[name] = values
	}
	if input != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token := c.Token(); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if id, given := ctx.Value(approvalKey{}).(string); given {
		request.Header.Set(approvalHeader, id)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if answer.StatusCode < http.StatusOK || answer.StatusCode > 299 {
		defer func() { _ = answer.Body.Close() }()
		return nil, fmt.Errorf("%s %s: %w", method, path, problemOf(answer))
	}
	if err := needsApproval(answer); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return answer, nil
}

// problemOf reads an error answer; one that is not of the API (a proxy's page) keeps its status.
func problemOf(answer *http.Response) *Problem {
	p := &Problem{Status: answer.StatusCode, Title: http.StatusText(answer.StatusCode)}
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil || kind != "application/problem+json" || json.Unmarshal(text, p) != nil {
		p.Detail = "the answer is not of DataGuardian's API; check the address"
	}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}
