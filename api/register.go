package api

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

// access says who may call an operation. The zero value is no declaration, and registering an
// operation with it panics at start.
type access struct {
	public   string // why no session is needed
	signedIn bool   // any session will do: the operation is about the caller's own things
	person   bool   // a session, and no API token: it is about who signs in as what
	anyOf    []auth.Permission
}

// requires asks for a session that holds at least one of the permissions.
func requires(anyOf ...auth.Permission) access { return access{anyOf: anyOf} }

// ownThings asks for a session, whatever it may do.
func ownThings() access { return access{signedIn: true} }

// ownSession asks for a session, whatever it may do, and refuses API tokens: a token that leaked must not be
// able to make others, or to change the password.
func ownSession() access { return access{signedIn: true, person: true} }

// public lets everybody in, for the reason given.
func public(reason string) access { return access{public: reason} }

func (a access) declared() bool { return a.public != "" || a.signedIn || len(a.anyOf) > 0 }

// declare notes who may call a route; a route is declared once.
func (s *server) declare(method, path string, a access) {
	key := method + " " + path
	if !a.declared() {
		panic("api: " + key + " does not declare who may call it")
	}
	for _, p := range a.anyOf {
		if !auth.Known(p) {
			panic("api: " + key + " asks for an unknown permission " + string(p))
		}
	}
	s.declared[key] = a
}

// register adds an operation. It is the only way in: the declaration of access is not optional,
// the session is checked before the request is parsed, and every error is explained in one place.
func register[I, O any](s *server, a access, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	s.declare(op.Method, ginPath(op.Path), a)
	document(&op, a)
	_, takesBody := reflect.TypeFor[I]().FieldByName("Body")
	if _, raw := reflect.TypeFor[I]().FieldByName("RawBody"); takesBody || raw {
		op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	op.MaxBodyBytes, op.BodyReadTimeout = maxBodyBytes, s.opts.BodyTimeout
	gates := huma.Middlewares{limitTime(s.timeLimit(op)), s.authorise(op.OperationID, a), s.refuseUnstorable}
	if takesIdempotencyKey(&op, a) {
		documentIdempotencyKey(&op)
		gates = append(gates, s.idempotent(a))
	}
	op.Middlewares = append(gates, op.Middlewares...)
	handler = traced(s, &op, handler)
	huma.Register(s.api, op, func(ctx context.Context, input *I) (*O, error) {
		request := underWayOf(ctx)
		request.bodyArrived()
		lowerIDs(input)
		output, err := handler(ctx, input)
		if err == nil && streams[O]() {
			request.timer.Stop()
		}
		if asked := (*askedApproval)(nil); errors.As(err, &asked) {
			return nil, asked
		}
		if errors.Is(err, db.ErrOutOfScope) {
			err = s.refuseFor(ctx, op.OperationID, outOfScope, http.StatusForbidden)
		}
		if err != nil {
			return nil, s.explain(ctx, err)
		}
		return output, nil
	})
}

// outOfScope is what is answered to whom would bring something out of what they are limited to.
const outOfScope = "Your permission is limited to some resources, and this would lie outside of them."

// route adds a plain gin route for GET, for what is no typed operation. Only public ones are plain.
func (s *server) route(path string, a access, handler gin.HandlerFunc) {
	if a.public == "" {
		panic("api: the plain route " + path + " must be public; register an operation instead")
	}
	s.declare(http.MethodGet, path, a)
	s.engine.GET(path, handler)
}

// document writes the access of an operation and its usual errors into the OpenAPI document.
func document(op *huma.Operation, a access) {
	op.Metadata = map[string]any{"access": a}
	op.Errors = append(op.Errors, http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusServiceUnavailable)
	if op.Method != http.MethodGet {
		op.Errors = append(op.Errors, http.StatusConflict) // two changes that wait for each other
	}
	if a.public != "" {
		op.Security = []map[string][]string{}
		return
	}
	op.Errors = append(op.Errors, http.StatusUnauthorized)
	op.Security = []map[string][]string{{bearerScheme: {}}}
	if a.person && a.signedIn {
		op.Errors = append(op.Errors, http.StatusForbidden)
		op.Description = strings.TrimSpace(op.Description + "\n\nNeeds a session; an API token is refused.")
		return
	}
	if a.signedIn {
		op.Description = strings.TrimSpace(op.Description + "\n\nNeeds a session or an API token.")
		return
	}
	op.Errors = append(op.Errors, http.StatusForbidden)
	names := make([]string, len(a.anyOf))
	for i, p := range a.anyOf {
		names[i] = string(p)
	}
	op.Extensions = map[string]any{"x-permissions": names}
	op.Description = strings.TrimSpace(op.Description + "\n\nNeeds the permission `" + strings.Join(names, "` or `") + "`.")
	if a.person {
		op.Description += " An API token is refused."
	}
}

func ginPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// authorise lets a request through to its operation or answers 401 or 403. It runs before
// anything of the request is parsed, so that strangers learn nothing from validation.
func (s *server) authorise(operation string, a access) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		if a.public != "" {
			next(ctx)
			return
		}
		who, err := s.authenticate(ctx.Context(), operation, ctx.Header("Authorization"))
		if err != nil {
			s.reply(ctx, s.explain(ctx.Context(), err))
			return
		}
		if !a.signedIn && !who.Grants.Allows(a.anyOf...) {
			err := s.refuse(withPrincipal(ctx.Context(), who), operation, a.anyOf)
			s.reply(ctx, s.explain(ctx.Context(), err))
			return
		}
		if a.person && who.Token != nil {
			err := s.refuseFor(withPrincipal(ctx.Context(), who), operation, "Sign in for this: an API token will not do.", http.StatusForbidden)
			s.reply(ctx, s.explain(ctx.Context(), err))
			return
		}
		limited, err := s.limitedTo(withPrincipal(ctx.Context(), who), operation, a.anyOf)
		if err != nil {
			s.reply(ctx, s.explain(ctx.Context(), err))
			return
		}
		next(huma.WithContext(ctx, limited))
	}
}

// reply answers from a middleware, where huma does not.
func (s *server) reply(ctx huma.Context, p *problem.Problem) {
	for name, values := range p.GetHeaders() {
		for _, value := range values {
			ctx.SetHeader(name, value)
		}
	}
	ctx.SetHeader("Content-Type", problem.ContentType)
	ctx.SetStatus(p.Status)
	// A failed write means that the client is gone; there is nobody left to tell.
	_ = s.api.Marshal(ctx.BodyWriter(), "application/json", p)
}
