package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth/oidc"
)

// refusal is why somebody whom the provider knows does not get in.
type refusal string

// admit finds or makes the account of an identity, gives it the roles that the provider's claims map to, and refuses whoever
// has none.
func (s *server) admit(ctx context.Context, identity oidc.Identity) (db.User, error) {
	var user db.User
	var why refusal
	err := s.db.InTx(ctx, func(q *db.Queries) (err error) {
		if err := q.LockAccess(ctx); err != nil {
			return err
		}
		if user, why, err = s.accountOf(ctx, q, identity); err != nil || why != "" {
			return err
		}
		ctx := withPrincipal(ctx, principal{User: user})
		why, err = s.followRoles(ctx, q, user, identity)
		return err
	})
	if err != nil {
		return user, err
	}
	if why != "" { // what was changed stays: roles that are gone at the provider are gone here
		return user, s.oidcRefused(ctx, user.ID, user.Email, string(why))
	}
	return user, nil
}

// accountOf finds the account that is linked to the identity, else the one to link, else makes one. An account that
// exists is linked by its email only where the operator allows it, and the owner's never: whoever controls the provider
// must not control the installation by it.
func (s *server) accountOf(ctx context.Context, q *db.Queries, identity oidc.Identity) (db.User, refusal, error) {
	user, err := q.UserByIdentity(ctx, identity.Issuer, identity.Subject)
	if err == nil {
		if !user.IsActive {
			return user, "the account is deactivated; ask an administrator", nil
		}
		return user, "", nil
	}
	if !errors.Is(err, db.ErrNotFound) {
		return user, "", err
	}
	if !validEmail(identity.Email) || !identity.EmailVerified {
		return user, "the provider does not say that your email is verified", nil
	}
	user, err = q.UserByEmail(ctx, identity.Email)
	switch {
	case errors.Is(err, db.ErrNotFound):
		return s.newAccount(ctx, q, identity)
	case err != nil:
		return user, "", err
	case user.IsOwner:
		return user, "this is the owner's email, and the owner signs in by password", nil
	case !s.opts.OIDC.LinkByEmail():
		return user, "there is an account with this email already; sign in by password. An operator can have such accounts linked with DATAGUARDIAN_OIDC_LINK_BY_EMAIL", nil
	case !user.IsActive:
		return user, "the account is deactivated; ask an administrator", nil
	}
	var taken *db.DuplicateError
	if err := s.takeOver(ctx, q, user, identity); errors.As(err, &taken) {
		return user, "the account with this email belongs to somebody else at the provider", nil
	} else if err != nil {
		return user, "", err
	}
	user, err = q.UserByID(ctx, user.ID)
	return user, "", err
}

// newAccount makes an account for somebody who will have a role; others leave nothing behind.
func (s *server) newAccount(ctx context.Context, q *db.Queries, identity oidc.Identity) (db.User, refusal, error) {
	if len(identity.Roles) == 0 {
		return db.User{}, noRole(identity), nil
	}
	user, err := q.CreateUser(ctx, db.User{Email: identity.Email, Name: cut(identity.Name, 200), IsActive: true})
	if err != nil {
		return user, "", err
	}
	ctx = withPrincipal(ctx, principal{User: user})
	if err := q.AddAudit(ctx, audited(ctx, "user.create", "user", user.ID, map[string]any{"email": user.Email, "issuer": identity.Issuer})); err != nil {
		return user, "", err
	}
	return user, "", s.link(ctx, q, user, identity)
}

// takeOver links an account that exists. Whoever made it may know its password and have sessions and tokens of it, and has
// not shown that the email is theirs: none of those is left, or it would gain the roles that the provider gives.
func (s *server) takeOver(ctx context.Context, q *db.Queries, user db.User, identity oidc.Identity) error {
	if err := s.link(ctx, q, user, identity); err != nil {
		return err
	}
	if err := q.SetPassword(ctx, user.ID, "", nil); err != nil {
		return err
	}
	sessions, err := q.DeleteSessions(ctx, user.ID, "")
	if err != nil {
		return err
	}
	tokens, err := q.DeleteAPITokens(ctx, user.ID)
	if err != nil {
		return err
	}
	ctx = withPrincipal(ctx, principal{User: user})
	return q.AddAudit(ctx, audited(ctx, "user.password_removed", "user", user.ID, map[string]any{"sessions_ended": sessions, "tokens_revoked": tokens}))
}

func (s *server) link(ctx context.Context, q *db.Queries, user db.User, identity oidc.Identity) error {
	ctx = withPrincipal(ctx, principal{User: user})
	return s.db.InTx(db.Joining(ctx, q), func(q *db.Queries) error {
		if err := q.AddIdentity(ctx, user.ID, identity.Issuer, identity.Subject); err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "user.link", "user", user.ID, map[string]any{"issuer": identity.Issuer, "subject": identity.Subject}))
	})
}

// followRoles gives a user exactly the mapped roles. Without one, sessions end as well.
func (s *server) followRoles(ctx context.Context, q *db.Queries, user db.User, identity oidc.Identity) (refusal, error) {
	before, err := q.UserRoles(ctx, user.ID)
	if err != nil {
		return "", err
	}
	if err := q.SetUserRoles(ctx, user.ID, identity.Roles); err != nil {
		return "", err
	}
	after, err := q.UserRoles(ctx, user.ID)
	if err != nil {
		return "", err
	}
	if !slices.Equal(before, after) {
		changes := map[string]any{"before": map[string]any{"roles": before}, "after": map[string]any{"roles": after}, "issuer": identity.Issuer}
		if err := q.AddAudit(ctx, audited(ctx, "user.roles_followed", "user", user.ID, changes)); err != nil {
			return "", err
		}
	}
	if len(after) > 0 {
		return "", nil
	}
	if _, err := q.DeleteSessions(ctx, user.ID, ""); err != nil {
		return "", err
	}
	return noRole(identity), nil
}

func noRole(identity oidc.Identity) refusal {
	return refusal(fmt.Sprintf("the provider knows you as %s, but none of your groups has a role here; ask an administrator", identity.Email))
}

// providerRefused tells that the provider signed nobody in. Anybody can have it do that, again and again.
func providerRefused(ctx context.Context, why string) error {
	return strangeSignIn(ctx, why, problem.New(http.StatusForbidden, "You are not signed in: "+why+"."))
}

// strangeSignIn refuses a sign-in of nobody that the provider spoke for. It is in the audit trail with others of its kind.
func strangeSignIn(ctx context.Context, why string, answer *problem.Problem) error {
	return &denial{audited(ctx, actionOIDCRefused, "user", "", map[string]any{"reason": why}), answer}
}

// oidcRefused audits that a sign-in was refused, and tells why.
func (s *server) oidcRefused(ctx context.Context, userID, email, why string) error {
	entry := audited(ctx, actionOIDCRefused, "user", userID, map[string]any{"reason": why})
	if email != "" {
		entry.ActorName = email
	}
	if err := s.db.AddAudit(ctx, entry); err != nil {
		return err
	}
	return problem.New(http.StatusForbidden, "You are not signed in: "+why+".")
}

// validEmail is what the database takes as one.
func validEmail(email string) bool {
	name, host, found := strings.Cut(email, "@")
	return found && name != "" && host != "" && len(email) <= 254 && !strings.ContainsAny(email, " \t\r\n\x00") && !strings.Contains(host, "@")
}

// cut shortens a text to so many bytes, between letters.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}
