package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/middleware"
	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// explain turns every error of an operation into the problem that the client sees. What it does
// not know is a fault of ours: the log gets it, the client gets the id of the request.
func (s *server) explain(ctx context.Context, err error) *problem.Problem {
	var no *denial
	if errors.As(err, &no) {
		if err := s.refusals.add(ctx, no.entry, nil); err != nil {
			return s.describe(ctx, fmt.Errorf("audit a refusal: %w", err))
		}
	}
	return s.describe(ctx, err)
}

// describe is explain for an error that has not ended its operation yet.
func (s *server) describe(ctx context.Context, err error) *problem.Problem {
	var (
		known     *problem.Problem
		invalid   domain.Invalid
		duplicate *db.DuplicateError
		inUse     *db.InUseError
		reference *db.ReferenceError
		approval  *approvalMissing
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, db.ErrContended):
		s.log.WarnContext(ctx, "two changes waited for each other", "error", err, "request_id", middleware.RequestOf(ctx).ID)
		return problem.New(http.StatusConflict, "Somebody changes it right now; nothing was done. Send it again.")
	case errors.Is(err, db.ErrNotAudited) && ctx.Err() == nil:
		id := middleware.RequestOf(ctx).ID
		s.log.ErrorContext(ctx, "the audit trail takes no entry", "error", err, "request_id", id)
		return problem.New(http.StatusInternalServerError, fmt.Sprintf(
			"This could not be written into the audit trail, so it was not done: nothing was changed. The log of the API has the reason under request id %s.", id))
	case errors.As(err, &invalid):
		return unprocessable(invalid)
	case errors.As(err, &duplicate):
		return problem.New(http.StatusConflict, fmt.Sprintf("Another one has this %s already; choose another.", duplicate.Field),
			problem.Field{Location: duplicate.Field, Message: "is taken; choose another"})
	case errors.As(err, &inUse):
		p := problem.New(http.StatusConflict, "It is still needed by "+strings.Join(inUse.Holders, ", ")+"; delete those first.")
		p.Holders = inUse.Holders
		return p
	case errors.As(err, &reference):
		return unprocessable(domain.Invalid{{Field: reference.Field, Message: "names nothing that exists"}})
	case errors.As(err, &approval): // of a part of a document; an operation of its own asks for it
		return problem.New(http.StatusConflict, "Another person must approve it, so it can not be part of a document: make this change by itself.")
	case errors.Is(err, db.ErrNotFound):
		return problem.New(http.StatusNotFound, "There is no such thing, or it is gone.")
	case errors.Is(err, db.ErrOutOfScope):
		return problem.New(http.StatusForbidden, outOfScope)
	case errors.Is(err, db.ErrDeleting):
		return problem.New(http.StatusConflict, "The backup is being deleted; choose another.")
	case errors.Is(err, db.ErrVersionMismatch):
		return problem.New(http.StatusPreconditionFailed, "Somebody changed it meanwhile; read it again and repeat the change on what you find.")
	case errors.Is(err, db.ErrInvalidCursor):
		return unprocessable(domain.Invalid{{Field: "query.cursor", Message: "is not a cursor of this list; begin without one"}})
	case tooSlow(ctx) != nil:
		return tooSlow(ctx)
	case ctx.Err() != nil:
		return problem.New(http.StatusServiceUnavailable, "The request ended before the answer was ready.")
	}
	id := middleware.RequestOf(ctx).ID
	s.log.ErrorContext(ctx, "request failed", "error", err, "request_id", id)
	return middleware.Unexpected(id)
}

// unprocessable is 422 with the wrong fields.
func unprocessable(invalid domain.Invalid) *problem.Problem {
	fields := make([]problem.Field, len(invalid))
	for i, f := range invalid {
		fields[i] = problem.Field{Location: f.Field, Message: f.Message}
	}
	return problem.New(http.StatusUnprocessableEntity, "The request is not valid: "+strings.TrimSuffix(invalid.Error(), ".")+".", fields...)
}

// invalidField is a validation error about one field.
func invalidField(field, format string, args ...any) error {
	var v domain.Invalid
	v.Add(field, format, args...)
	return v
}

// missing replaces a bare "not found" by one that names what was looked for.
func missing(err error, kind, id string) error {
	if errors.Is(err, db.ErrNotFound) {
		return problem.New(http.StatusNotFound, fmt.Sprintf("There is no %s with the id %s.", kind, id))
	}
	return err
}

// missingField is missing for an id inside a request body: the field is wrong, not the address.
func missingField(err error, field, kind, id string) error {
	if errors.Is(err, db.ErrNotFound) {
		return invalidField(field, "there is no %s with the id %s", kind, id)
	}
	return err
}

var replaceErrors sync.Once

// useProblems makes huma's own errors (parsing, validation) problems of our form. Huma offers a
// package variable for this and nothing else. The values that huma would echo are dropped: they
// may be secrets.
func useProblems() {
	replaceErrors.Do(func() {
		huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
			return fromHuma(status, message, errs)
		}
	})
}

func fromHuma(status int, message string, errs []error) *problem.Problem {
	if status >= http.StatusInternalServerError {
		return problem.New(status, "The request could not be handled; try again.")
	}
	var fields []problem.Field
	for _, err := range errs {
		field := problem.Field{Location: "body"}
		if detailer, ok := err.(huma.ErrorDetailer); ok {
			field = fieldOf(detailer.ErrorDetail())
		} else if err != nil {
			field.Message = err.Error()
		}
		fields = append(fields, field)
	}
	return problem.New(status, humaDetail(status, message, fields), fields...)
}

// fieldOf is the wrong field that huma found. Paths in the body start at the document itself,
// everywhere in this API, and a missing field is named by its own path, not by its parent's.
func fieldOf(detail *huma.ErrorDetail) problem.Field {
	field := problem.Field{Location: detail.Location, Message: detail.Message}
	if rest, ok := strings.CutPrefix(detail.Message, "expected required property "); ok {
		if name, ok := strings.CutSuffix(rest, " to be present"); ok {
			field = problem.Field{Location: detail.Location + "." + name, Message: "is required"}
		}
	}
	field.Location = strings.TrimPrefix(field.Location, "body.")
	return field
}

func humaDetail(status int, message string, fields []problem.Field) string {
	switch status {
	case http.StatusBadRequest:
		if len(fields) > 0 {
			return "The request body can not be read as JSON: " + fields[0].Message + "."
		}
		return "The request can not be read: " + message + "."
	case http.StatusUnsupportedMediaType:
		return "The request body must be JSON; send Content-Type: application/json."
	case http.StatusUnprocessableEntity:
		return "The request is not valid; errors names the wrong fields."
	case http.StatusRequestEntityTooLarge:
		return fmt.Sprintf("The request body is too large; %d bytes are allowed.", maxBodyBytes)
	default:
		return message
	}
}
