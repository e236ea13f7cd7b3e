package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Call is any call of the API, for callers that know the resource only by its address.
type Call struct {
	Method, Path string
	Query        url.Values
	Body         any    // sent as JSON; nil for none
	IfMatch      string // ETag that the thing must still have, "" for any
}

// Do makes the call and gives the answer as it came; nil when there is none.
func (c *Client) Do(ctx context.Context, call Call) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	header := http.Header{}
	if call.IfMatch != "" {
		header.Set("If-Match", call.IfMatch)
	}
	answer, err := c.send(ctx, call.Method, call.Path, call.Query, call.Body, header)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s %s: read the answer: %w", call.Method, call.Path, err)
	}
	if len(text) == 0 {
		return nil, nil
	}
	return text, nil
}

// Open makes a GET whose answer is a stream, which the caller closes.
func (c *Client) Open(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	return c.send(ctx, http.MethodGet, path, query, nil, nil)
}

// Page reads one page of a list and the cursor of the next, "" at the end.
func (c *Client) Page(ctx context.Context, path string, query url.Values) ([]json.RawMessage, string, error) {
	var out page[json.RawMessage]
	err := c.call(ctx, http.MethodGet, path, query, nil, &out)
	return out.Items, out.NextCursor, err
}

// Collect reads every page of a list.
func (c *Client) Collect(ctx context.Context, path string, query url.Values) ([]json.RawMessage, error) {
	return collect[json.RawMessage](ctx, c, path, query)
}
