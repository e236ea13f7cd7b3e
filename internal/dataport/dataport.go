// Package dataport moves the bytes of a storage location from the worker that reaches it to the API,
// and through the API to a client, without a copy on either disk.
//
// A worker serves an HTTPS port of its own (Server) with a certificate that it makes when it starts.
// It tells the API where the port is and which certificate to expect (Offer), under a MAC. The API then
// asks for one transfer (Client) with a ticket, which it seals itself: what to read, for which port,
// and until when to ask. Both are keyed by a key that only holders of the master key can derive, so
// nobody else can ask for bytes, nor pass for a worker.
//
// One transfer has one connection: a reader that is slow slows the read on the storage, and one that
// goes away ends it.
package dataport

import (
	"context"
	"encoding/json"
	"io"
	"time"
)

// Request is what one transfer delivers. It travels in a ticket, sealed.
type Request struct {
	Kind string          `json:"kind"` // names the Source
	Pool string          `json:"pool"` // that the worker must serve
	Body json.RawMessage `json:"body"` // what the Source reads
}

// Source opens what a request asks for. ctx ends with the transfer. Errors of package failure reach
// the API with their class, message and hint; they must hold no secret.
type Source func(ctx context.Context, body json.RawMessage) (Content, error)

// Content is one thing to deliver. Close is called once, when the transfer has ended.
type Content struct {
	Name string // file name for the client, "" for none
	Type string // media type

	// A content of known size may be read in parts: Open reads from offset, length bytes or (negative)
	// to the end.
	Open     func(ctx context.Context, offset, length int64) (io.ReadCloser, error)
	Size     int64 // bytes
	Modified time.Time
	ETag     string // quoted; changes when the bytes do

	// Write streams a content whose size is not known before, instead of Open. After an error the
	// client sees a transfer that broke off.
	Write func(ctx context.Context, w io.Writer) error

	Close func() error // may be nil
}

// Paths and headers between API and worker.
const (
	transferPath = "/transfer"
	ticketScheme = "Ticket "
	failureType  = "application/vnd.dataguardian.failure+json"
)

// told is how a failure before the first byte reaches the API.
type told struct {
	Class   string `json:"class"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}
