// Package rest is the REST API as the demo and the benchmark call it: a dozen requests of an
// ordinary client, and the parts of the answers that they look at.
package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswerBytes bounds what is read of an answer.
const maxAnswerBytes = 16 << 20

// Client talks to one installation. It is not safe for concurrent use while signing in.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// New makes a client of the server at base, for example http://127.0.0.1:8080.
func New(base string) *Client {
	return &Client{base: strings.TrimRight(base, "/"), http: &http.Client{Timeout: 2 * time.Minute}}
}

// Problem is an error answer of the API. Detail is written for people.
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

// Error is the explanation of the API.
func (p *Problem) Error() string { return fmt.Sprintf("%s (HTTP %d)", p.Detail, p.Status) }

// do sends in as JSON and reads the answer into out; either may be nil. An answer that is not a
// success is a *Problem.
func (c *Client) do(ctx context.Context, method, path string, in, out any) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s %s: %w", method, path, err)
		}
	}()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		// http.Client puts the whole URL in front of its errors; the path is told above.
		var known *url.Error
		if errors.As(err, &known) {
			return known.Err
		}
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes))
	if err != nil {
		return err
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		return problemOf(answer.StatusCode, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

func problemOf(status int, text []byte) *Problem {
	p := &Problem{}
	if json.Unmarshal(text, p) != nil || p.Detail == "" {
		p.Detail = http.StatusText(status)
	}
	p.Status = status
	return p
}

// SetupNeeded reports whether the installation has no owner yet.
func (c *Client) SetupNeeded(ctx context.Context) (bool, error) {
	var status struct {
		SetupNeeded bool `json:"setup_needed"`
	}
	err := c.do(ctx, http.MethodGet, "/api/auth/status", nil, &status)
	return status.SetupNeeded, err
}

type session struct {
	Token string `json:"token"`
}

// SetUp creates the owner and signs in.
func (c *Client) SetUp(ctx context.Context, email, password string) error {
	return c.open(ctx, "/api/auth/setup", map[string]string{"email": email, "name": "Owner", "password": password})
}

// SignIn opens a session that every later request uses.
func (c *Client) SignIn(ctx context.Context, email, password string) error {
	return c.open(ctx, "/api/auth/login", map[string]string{"email": email, "password": password})
}

func (c *Client) open(ctx context.Context, path string, in any) error {
	var opened session
	if err := c.do(ctx, http.MethodPost, path, in, &opened); err != nil {
		return err
	}
	c.token = opened.Token
	return nil
}
