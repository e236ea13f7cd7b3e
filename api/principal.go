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

// principal is who makes a request, by which session or API token.
type principal struct {
	User      db.User
	SessionID string // "" when an API token is used
	TokenHash auth.TokenHash
	ExpiresAt time.Time
	Grants    auth.Grants

	// Token is the API token that is used, nil for a session; Grants are within its own then.
	Token *db.APIToken

	// held says what limits its permissions to some resources, nil for nothing.
	held *auth.Held

	createdAt, lastUsed time.Time // of the session or token
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

// touchEvery is how often the last use of a session or token is written: not with every request.
const touchEvery = time.Minute

// authenticate finds the session or the API token of an Authorization header. Every way in which it can
// be wrong gets the same answer; the audit trail tells them apart.
func (s *server) authenticate(ctx context.Context, operation, header string) (principal, error) {
	token, ok := auth.BearerToken(header)
	if !ok {
		return principal{}, unauthenticated(ctx, operation, "there is no token",
			"Sign in first: send Authorization: Bearer with the token that POST /api/auth/login answers, or with an API token.")
	}
	who, err := s.holder(ctx, token)
	if errors.Is(err, db.ErrNotFound) {
		reason := "the token is unknown"
		switch {
		case who.User.ID != "" && !who.User.IsActive:
			reason = "the account is deactivated"
		case who.User.ID != "":
			reason = "the session or token has expired"
		}
		return principal{}, unauthenticated(withPrincipal(ctx, who), operation, reason, expiredSession)
	}
	if err != nil {
		return principal{}, fmt.Errorf("look up who asks: %w", err)
	}
	middleware.SetUser(ctx, who.User.Email)
	if err := s.touch(ctx, &who); errors.Is(err, db.ErrNotFound) {
		return principal{}, unauthenticated(withPrincipal(ctx, who), operation, "the session or token has ended", expiredSession)
	} else if err != nil {
		return principal{}, fmt.Errorf("note the use: %w", err)
	}
	return who, nil
}

// holder finds who a token stands for. Errors: db.ErrNotFound for one that does not let anybody in, with the user that it
// was of, if that is known.
func (s *server) holder(ctx context.Context, token string) (principal, error) {
	if hash, ok := auth.HashToken(token); ok {
		return s.holderOfSession(ctx, hash)
	}
	if hash, ok := auth.HashAPIToken(token); ok {
		return s.holderOfAPIToken(ctx, hash)
	}
	return principal{}, db.ErrNotFound
}

func (s *server) holderOfSession(ctx context.Context, hash auth.TokenHash) (principal, error) {
	found, err := s.db.SessionByTokenHash(ctx, hash)
	if err != nil {
		return principal{}, err
	}
	if !found.User.IsActive || !time.Now().Before(found.Session.ExpiresAt) {
		return principal{User: found.User}, db.ErrNotFound
	}
	return principal{
		held: heldWithin(found.Limits),
		User: found.User, SessionID: found.Session.ID, TokenHash: hash, ExpiresAt: found.Session.ExpiresAt,
		Grants: auth.NewGrants(found.Permissions), createdAt: found.Session.CreatedAt, lastUsed: found.Session.LastSeenAt,
	}, nil
}

// holderOfAPIToken limits the owner's permissions of now to those of the token: what the owner loses, the
// token loses.
func (s *server) holderOfAPIToken(ctx context.Context, hash auth.TokenHash) (principal, error) {
	found, err := s.db.APITokenByHash(ctx, hash)
	if err != nil {
		return principal{}, err
	}
	if !found.User.IsActive || !time.Now().Before(found.Token.ExpiresAt) {
		return principal{User: found.User, Token: &found.Token}, db.ErrNotFound
	}
	who := principal{
		held: heldWithin(found.Limits),
		User: found.User, TokenHash: hash, ExpiresAt: found.Token.ExpiresAt, Token: &found.Token,
		Grants:    auth.NewGrants(found.UserPermissions).Intersect(auth.NewGrants(found.Token.Permissions)),
		createdAt: found.Token.CreatedAt,
	}
	if found.Token.LastUsedAt != nil {
		who.lastUsed = *found.Token.LastUsedAt
	}
	return who, nil
}

// touch notes the use of a session, which moves its end, or of a token, whose end stays.
func (s *server) touch(ctx context.Context, who *principal) error {
	now := time.Now()
	switch {
	case now.Sub(who.lastUsed) < touchEvery:
		return nil
	case who.Token != nil:
		return s.db.TouchAPIToken(ctx, who.Token.ID, middleware.RequestOf(ctx).IP)
	default:
		who.ExpiresAt = s.sessionEnd(who.createdAt, now)
		return s.db.TouchSession(ctx, who.SessionID, who.ExpiresAt)
	}
}

// again looks the caller of ctx up as of now, for what goes on for longer than a request. Errors:
// db.ErrNotFound when the session or the token has ended.
func (s *server) again(ctx context.Context) (principal, error) {
	who := principalOf(ctx)
	if who.Token != nil {
		return s.holderOfAPIToken(ctx, who.TokenHash)
	}
	return s.holderOfSession(ctx, who.TokenHash)
}

const expiredSession = "The session or token is unknown, ended or expired; sign in again."

// sessionEnd slides the end of a session forward with its use, up to the longest life of any.
func (s *server) sessionEnd(created, now time.Time) time.Time {
	idle, life := now.Add(s.opts.SessionIdle), created.Add(s.opts.SessionLife)
	if idle.Before(life) {
		return idle
	}
	return life
}

// unauthenticated refuses somebody who shows no token that lets them in: 401, and it is in the audit trail, with others of
// its kind.
func unauthenticated(ctx context.Context, operation, reason, detail string) error {
	return &denial{audited(ctx, "access.unauthenticated", "operation", operation, map[string]any{"reason": reason}), unauthorised(detail)}
}

func unauthorised(detail string) *problem.Problem {
	return problem.New(http.StatusUnauthorized, detail).WithHeader("WWW-Authenticate", `Bearer realm="dataguardian"`)
}

// refuse says that the caller lacks the permission for an operation: 403, see refuseFor.
func (s *server) refuse(ctx context.Context, operation string, anyOf []auth.Permission) error {
	names := make([]string, len(anyOf))
	for i, p := range anyOf {
		names[i] = string(p)
	}
	needed := strings.Join(names, " or ")
	return &denial{
		audited(ctx, actionRefused, "operation", operation, map[string]any{"needs": needed}),
		problem.New(http.StatusForbidden, "You need the permission "+needed+" for this; ask an administrator for a role that has it."),
	}
}
