package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/api/middleware"
	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

// principal is who makes a request, by which session.
type principal struct {
	User      db.User
	SessionID string
	TokenHash auth.TokenHash
	ExpiresAt time.Time
	Grants    auth.Grants
}

type principalKey struct{}

func withPrincipal(ctx context.Context, who principal) context.Context {
	return context.WithValue(ctx, principalKey{}, who)
}

// principalOf gives who makes the request of ctx; the zero principal for a public operation.
func principalOf(ctx context.Context) principal {
	who, _ := ctx.Value(principalKey{}).(principal)
	return who
}

// touchEvery is how often a session's last use is written: not with every request.
const touchEvery = time.Minute

// authenticate finds the session of an Authorization header. Every way in which it can be wrong
// gets the same answer.
func (s *server) authenticate(ctx context.Context, header string) (principal, error) {
	token, ok := auth.BearerToken(header)
	if !ok {
		return principal{}, unauthorised("Sign in first: send Authorization: Bearer with the token that POST /api/auth/login answers.")
	}
	hash, ok := auth.HashToken(token)
	if !ok {
		return principal{}, unauthorised(expiredSession)
	}
	found, err := s.db.SessionByTokenHash(ctx, hash)
	if errors.Is(err, db.ErrNotFound) {
		return principal{}, unauthorised(expiredSession)
	}
	if err != nil {
		return principal{}, fmt.Errorf("look up session: %w", err)
	}
	session, now := found.Session, time.Now()
	if !found.User.IsActive || !now.Before(session.ExpiresAt) {
		return principal{}, unauthorised(expiredSession)
	}
	middleware.SetUser(ctx, found.User.Email)
	who := principal{User: found.User, SessionID: session.ID, TokenHash: hash, ExpiresAt: session.ExpiresAt, Grants: auth.NewGrants(found.Permissions)}
	if now.Sub(session.LastSeenAt) >= touchEvery {
		who.ExpiresAt = s.sessionEnd(session.CreatedAt, now)
		if err := s.db.TouchSession(ctx, session.ID, who.ExpiresAt); errors.Is(err, db.ErrNotFound) {
			return principal{}, unauthorised(expiredSession)
		} else if err != nil {
			return principal{}, fmt.Errorf("extend session: %w", err)
		}
	}
	return who, nil
}

const expiredSession = "The session is unknown, ended or expired; sign in again."

// sessionEnd slides the end of a session forward with its use, up to the longest life of any.
func (s *server) sessionEnd(created, now time.Time) time.Time {
	idle, life := now.Add(s.opts.SessionIdle), created.Add(s.opts.SessionLife)
	if idle.Before(life) {
		return idle
	}
	return life
}

func unauthorised(detail string) *problem.Problem {
	return problem.New(http.StatusUnauthorized, detail).WithHeader("WWW-Authenticate", `Bearer realm="dataguardian"`)
}

// refuse audits that the caller lacks the permission for an operation, and answers 403.
func (s *server) refuse(ctx context.Context, operation string, anyOf []auth.Permission) error {
	names := make([]string, len(anyOf))
	for i, p := range anyOf {
		names[i] = string(p)
	}
	needed := strings.Join(names, " or ")
	entry := audited(ctx, "access.refused", "operation", operation, map[string]any{"needs": needed})
	if err := s.db.AddAudit(ctx, entry); err != nil {
		return fmt.Errorf("audit a refusal: %w", err)
	}
	return problem.New(http.StatusForbidden, "You need the permission "+needed+" for this; ask an administrator for a role that has it.")
}
