// Package problem is the one form in which the REST API tells what went wrong: RFC 9457
// application/problem+json, with the paths of the wrong fields.
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// ContentType is the media type of every error answer.
const ContentType = "application/problem+json"

// Field names one wrong part of a request.
type Field struct {
	Location string `json:"location" doc:"Path of the field as sent, for example connection_config.port; query.…, path.… and header.… outside the body"`
	Message  string `json:"message" doc:"What is wrong and what to give instead"`
}

// Problem is an error answer, and an error. Detail and Errors are shown to the client: no secret
// and no internals belong there.
type Problem struct {
	Type        string   `json:"type" doc:"about:blank: the status says what kind of problem it is"`
	Title       string   `json:"title" doc:"The status in words"`
	Status      int      `json:"status" doc:"The HTTP status"`
	Detail      string   `json:"detail" doc:"What happened and what to do"`
	Errors      []Field  `json:"errors,omitempty" doc:"The wrong fields"`
	Holders     []string `json:"holders,omitempty" doc:"409: what still needs the thing that was to be deleted"`
	ExecutionID string   `json:"execution_id,omitempty" doc:"The execution that this is about"`

	headers http.Header
}

// New makes a problem of an HTTP status with an explanation for the client.
func New(status int, detail string, fields ...Field) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Errors: fields}
}

// WithHeader adds a header to the answer and returns p.
func (p *Problem) WithHeader(name, value string) *Problem {
	if p.headers == nil {
		p.headers = make(http.Header)
	}
	p.headers.Set(name, value)
	return p
}

// TooManyRequests is 429 with a Retry-After in whole seconds, rounded up.
func TooManyRequests(detail string, wait time.Duration) *Problem {
	seconds := int64((wait + time.Second - 1) / time.Second)
	return New(http.StatusTooManyRequests, detail).WithHeader("Retry-After", strconv.FormatInt(max(seconds, 1), 10))
}

// Error is the detail; Problem satisfies the error interface of Go and of huma.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status, for huma.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders are additional headers of the answer, for huma.
func (p *Problem) GetHeaders() http.Header { return p.headers }

// ContentType makes huma answer with the problem media type.
func (p *Problem) ContentType(string) string { return ContentType }

// Write answers a request with p, for handlers outside huma.
func (p *Problem) Write(w http.ResponseWriter) {
	for name, values := range p.headers {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", ContentType)
	w.WriteHeader(p.Status)
	// A failed write means that the client is gone; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(p)
}
