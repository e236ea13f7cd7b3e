package dataport

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// stallTimeout is how long a reader may take nothing before its transfer is broken off: it holds a
// connection to the storage.
const stallTimeout = 5 * time.Minute

// serve answers one request for a transfer.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	sealed, ok := strings.CutPrefix(r.Header.Get("Authorization"), ticketScheme)
	if r.URL.Path != transferPath || r.Method != http.MethodGet || !ok {
		http.NotFound(w, r)
		return
	}
	request, err := s.gate.take(sealed)
	if err != nil {
		s.opts.Logger.Warn("a transfer was refused", "reason", err, "from", r.RemoteAddr)
		tell(w, http.StatusUnauthorized, failure.Wrap(failure.AuthFailed, "ask for a transfer", err,
			"Check that the API and the worker run with the same master key; restart the one that does not."))
		return
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		tell(w, http.StatusServiceUnavailable, failure.New(failure.Unreachable, "ask for a transfer", "the worker serves as many transfers as it can", "Try again later."))
		return
	}
	source, known := s.opts.Sources[request.Kind]
	if !known || !slices.Contains(s.opts.Pools, request.Pool) {
		tell(w, http.StatusNotFound, failure.New(failure.Unsupported, "ask for a transfer", "the worker does not serve this kind of transfer, or this pool", "Upgrade the worker."))
		return
	}
	content, err := source(r.Context(), request.Body)
	if err != nil {
		tell(w, http.StatusUnprocessableEntity, err)
		return
	}
	s.deliver(w, r, request, content)
}

// deliver sends the content, and breaks the connection where it can not be sent whole: the client must
// not take a part of it for all.
func (s *Server) deliver(w http.ResponseWriter, r *http.Request, request Request, content Content) {
	if content.Close != nil {
		defer func() { _ = content.Close() }() // the bytes have gone, or the error is known
	}
	started := time.Now()
	out := &patient{ResponseWriter: w, control: http.NewResponseController(w)}
	header := w.Header()
	header.Set("Content-Type", content.Type)
	if content.Name != "" {
		header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": content.Name}))
	}
	var err error
	if content.Write != nil {
		out.WriteHeader(http.StatusOK)
		err = content.Write(r.Context(), out)
	} else {
		err = sendRange(out, r, content)
	}
	logged := s.opts.Logger.With("kind", request.Kind, "pool", request.Pool, "bytes", out.sent, "duration", time.Since(started))
	switch {
	case err == nil && out.failed == nil:
		out.begin() // of what has no bytes
		logged.Info("transfer ended")
		return
	case err != nil && !out.begun && r.Context().Err() == nil:
		logged.Warn("transfer failed before its first byte", "class", failure.ClassOf(err), "error", failure.Redact(err.Error()))
		clear(header)
		tell(w, http.StatusUnprocessableEntity, err) // the API can still say why, or ask elsewhere
		return
	case r.Context().Err() != nil || out.failed != nil:
		logged.Info("transfer broken off")
	default:
		logged.Warn("transfer failed", "class", failure.ClassOf(err), "error", failure.Redact(err.Error()))
	}
	panic(http.ErrAbortHandler)
}

// sendRange sends what the Range and If-Range headers ask for. Of several ranges in one request all of
// the content is sent, as RFC 9110 allows.
func sendRange(out *patient, r *http.Request, content Content) error {
	if strings.Contains(r.Header.Get("Range"), ",") {
		r.Header.Del("Range")
	}
	if content.ETag != "" {
		out.Header().Set("ETag", content.ETag)
	}
	reader := &rangeReader{ctx: r.Context(), content: content, wanted: parseRange(r.Header.Get("Range"))}
	http.ServeContent(out, r, "", content.Modified, reader)
	return errors.Join(reader.failed, reader.close())
}

// tell answers with a failure instead of bytes.
func tell(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", failureType)
	w.WriteHeader(status)
	// A failed write means that the API is gone; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(told{Class: string(failure.ClassOf(err)), Message: failure.Redact(err.Error()), Hint: failure.HintOf(err)})
}

// patient is a response whose reader may be slow, but must go on reading. It hides ReadFrom: every
// write sets the deadline anew. The status goes out with the first byte: until then it may become a failure.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	status  int
	begun   bool
	sent    int64
	failed  error // of the first write that the reader did not take
}

func (p *patient) WriteHeader(status int) { p.status = status }

func (p *patient) begin() {
	if !p.begun && p.status != 0 {
		p.ResponseWriter.WriteHeader(p.status)
	}
	p.begun = true
}

func (p *patient) Write(data []byte) (int, error) {
	p.begin()
	// A writer that knows no deadlines (tests) still writes.
	_ = p.control.SetWriteDeadline(time.Now().Add(stallTimeout))
	n, err := p.ResponseWriter.Write(data)
	p.sent += int64(n)
	if err != nil && p.failed == nil {
		p.failed = err
	}
	return n, err
}
