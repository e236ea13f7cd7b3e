package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
)

const (
	idempotencyHeader = "Idempotency-Key"
	replayedHeader    = "Idempotency-Replayed"
	maxIdempotencyKey = 255

	// beingAnswered is after what time a request without an answer is one whose process has died.
	beingAnswered = 2 * time.Minute
)

// takesIdempotencyKey reports whether a client may repeat the operation without fear: those that make
// something, or start something. An answer that is kept may be read later, so what only a person may do, such
// as making an API token, whose secret is in its answer, takes none.
func takesIdempotencyKey(op *huma.Operation, a access) bool {
	return op.Method == http.MethodPost && a.public == "" && !a.person &&
		(op.DefaultStatus == http.StatusCreated || op.DefaultStatus == http.StatusAccepted)
}

func documentIdempotencyKey(op *huma.Operation) {
	longest := maxIdempotencyKey
	op.Parameters = append(op.Parameters, &huma.Param{
		Name: idempotencyHeader, In: "header",
		Description: "A text of your own, such as a UUID. The same request with the same key within 24 hours is not made again: " +
			"it gets the first answer, with `" + replayedHeader + ": true`. Another request with the key is 422; while the first is under way it is 409.",
		Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &longest},
	})
	op.Errors = append(op.Errors, http.StatusConflict)
}

// idempotent answers a repeated request with the first answer. It runs after authorise: keys are a
// user's own, and whoever lost a permission is not answered.
func (s *server) idempotent(a access) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		key := ctx.Header(idempotencyHeader)
		if key == "" {
			next(ctx)
			return
		}
		reserved, err := s.reserve(ctx, key)
		if err == nil && reserved.Answer != nil {
			err = s.stillSees(ctx.Context(), a.anyOf, ctx.URL().Path, reserved.Answer.Headers["Location"])
		}
		switch {
		case err != nil:
			s.reply(ctx, s.explain(ctx.Context(), err))
		case reserved.Fresh:
			s.answerOnce(ctx, reserved.ID, next)
		default:
			replay(ctx, *reserved.Answer)
		}
	}
}

// reserve takes the key, or finds the answer that was given before. Every other state is an error.
func (s *server) reserve(ctx huma.Context, key string) (db.Reservation, error) {
	none := db.Reservation{}
	if len(key) > maxIdempotencyKey || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return none, invalidField("header."+idempotencyHeader, "must be at most %d printable ASCII characters without spaces", maxIdempotencyKey)
	}
	hash, err := s.hashRequest(ctx)
	if err != nil {
		return none, err
	}
	reserved, err := s.db.ReserveKey(ctx.Context(), principalOf(ctx.Context()).User.ID, key, hash)
	switch {
	case err != nil || reserved.Fresh || reserved.Answer != nil:
		return reserved, err
	case !reserved.Same:
		return none, invalidField("header."+idempotencyHeader, "was used for another request; send one key with one request only")
	case time.Since(reserved.BeganAt) < beingAnswered:
		return none, problem.New(http.StatusConflict, "The request with this Idempotency-Key is under way; ask again when it is answered.")
	}
	return none, problem.New(http.StatusConflict, fmt.Sprintf(
		"A request with this Idempotency-Key began at %s and what came of it is not known: the API stopped meanwhile. See whether it was done; to make it again send another key.",
		reserved.BeganAt.UTC().Format(time.RFC3339)))
}

// hashRequest reads the body and puts it back.
func (s *server) hashRequest(ctx huma.Context) (db.RequestHash, error) {
	_ = ctx.SetReadDeadline(time.Now().Add(s.opts.BodyTimeout)) // a writer that knows no deadlines (tests) has none
	request := humagin.Unwrap(ctx).Request
	text, err := io.ReadAll(request.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) || len(text) > maxBodyBytes {
		return db.RequestHash{}, problem.New(http.StatusRequestEntityTooLarge, humaDetail(http.StatusRequestEntityTooLarge, "", nil))
	}
	if err != nil {
		return db.RequestHash{}, problem.New(http.StatusRequestTimeout, "The request body did not arrive.")
	}
	request.Body = io.NopCloser(bytes.NewReader(text))
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s\n", request.Method, request.URL.RequestURI())
	return sha256.Sum256(append(head.Bytes(), text...)), nil
}

// answerOnce lets the request happen and keeps its answer when it did something. One that was refused
// or waits for an approval gives the key back, so that the client may send it again.
func (s *server) answerOnce(ctx huma.Context, id string, next func(huma.Context)) {
	c := humagin.Unwrap(ctx)
	recorder := &recordingWriter{ResponseWriter: c.Writer}
	c.Writer = recorder
	returned := false
	defer func() {
		c.Writer = recorder.ResponseWriter
		s.settleKey(ctx.Context(), id, recorder, returned)
	}()
	next(ctx)
	returned = true
}

// settleKey keeps an answer, or gives the key back: also for a request that panicked, which is answered 500 as
// others are that failed.
func (s *server) settleKey(ctx context.Context, id string, recorder *recordingWriter, returned bool) {
	keeping, stop := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer stop()
	status := recorder.Status()
	if asked := recorder.Header().Get(approvalHeader) != ""; asked || !returned || status >= http.StatusMultipleChoices {
		if err := s.db.ReleaseKey(keeping, id); err != nil {
			s.log.WarnContext(keeping, "an idempotency key could not be released; repeating the request is refused for a day", "error", err)
		}
		return
	}
	answer := db.Answer{Status: status, Headers: map[string]string{}, Body: recorder.body.Bytes()}
	for _, name := range []string{"Location", "ETag", "Content-Type"} {
		if value := recorder.Header().Get(name); value != "" {
			answer.Headers[name] = value
		}
	}
	if err := s.db.AnswerKey(keeping, id, answer); err != nil {
		s.log.WarnContext(keeping, "an answer could not be kept; repeating the request is refused for a day", "error", err)
	}
}

func replay(ctx huma.Context, answer db.Answer) {
	for name, value := range answer.Headers {
		ctx.SetHeader(name, value)
	}
	ctx.SetHeader(replayedHeader, "true")
	ctx.SetStatus(answer.Status)
	_, _ = ctx.BodyWriter().Write(answer.Body) // the client may be gone
}

// recordingWriter keeps what is written.
type recordingWriter struct {
	gin.ResponseWriter
	body bytes.Buffer
}

// Unwrap lets http.ResponseController find the connection.
func (w *recordingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recordingWriter) Write(p []byte) (int, error) {
	w.body.Write(p)
	return w.ResponseWriter.Write(p)
}

func (w *recordingWriter) WriteString(text string) (int, error) {
	w.body.WriteString(text)
	return w.ResponseWriter.WriteString(text)
}
