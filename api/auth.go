package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/middleware"
	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

// User is an account as clients see it.
type User struct {
	ID          string            `json:"id" format:"uuid"`
	Email       string            `json:"email"`
	Name        string            `json:"name"`
	Owner       bool              `json:"owner" doc:"The account that set the installation up"`
	Permissions []auth.Permission `json:"permissions" nullable:"false" doc:"What its roles grant"`
}

// Session is a sign-in, with the token that is shown this once.
type Session struct {
	Token     string    `json:"token" doc:"Send it as Authorization: Bearer; it is not shown again"`
	ExpiresAt time.Time `json:"expires_at" doc:"Slides forward with use"`
	User      User      `json:"user"`
}

type setupBody struct {
	Email    string `json:"email" format:"email" maxLength:"254"`
	Name     string `json:"name,omitempty" maxLength:"200"`
	Password string `json:"password" doc:"At least 12 characters" maxLength:"4096"`
}

type loginBody struct {
	Email    string `json:"email" maxLength:"254"`
	Password string `json:"password" maxLength:"4096"`
}

type body[T any] struct{ Body T }

type empty struct{}

type authStatus struct {
	SetupNeeded bool `json:"setup_needed" doc:"No owner exists yet: POST /api/auth/setup"`
	OIDC        bool `json:"oidc" doc:"People may sign in through an OpenID Connect provider: GET /api/auth/oidc/login"`
}

func (s *server) registerAuth() {
	tags := []string{"Sign-in"}
	register(s, public("a client has to know whether to set up or to sign in"), huma.Operation{
		OperationID: "auth-status", Method: http.MethodGet, Path: "/api/auth/status", Tags: tags,
		Summary: "Whether the installation still needs its owner",
	}, s.authStatus)
	register(s, public("nobody can sign in before the first owner exists; it works once"), huma.Operation{
		OperationID: "auth-setup", Method: http.MethodPost, Path: "/api/auth/setup", Tags: tags,
		Summary: "Create the owner, once", DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict, http.StatusTooManyRequests},
	}, s.setup)
	register(s, public("it is the sign-in"), huma.Operation{
		OperationID: "auth-login", Method: http.MethodPost, Path: "/api/auth/login", Tags: tags,
		Summary: "Sign in", Errors: []int{http.StatusUnauthorized, http.StatusTooManyRequests},
	}, s.login)
	register(s, ownSession(), huma.Operation{
		OperationID: "auth-logout", Method: http.MethodPost, Path: "/api/auth/logout", Tags: tags,
		Summary: "End this session", DefaultStatus: http.StatusNoContent,
	}, s.logout)
	register(s, ownThings(), huma.Operation{
		OperationID: "auth-me", Method: http.MethodGet, Path: "/api/auth/me", Tags: tags,
		Summary: "Who I am and what I may do",
	}, s.me)
}

func (s *server) authStatus(ctx context.Context, _ *empty) (*body[authStatus], error) {
	exists, err := s.db.HasOwner(ctx)
	if err != nil {
		return nil, err
	}
	return &body[authStatus]{authStatus{SetupNeeded: !exists, OIDC: s.opts.OIDC != nil}}, nil
}

func (s *server) setup(ctx context.Context, in *body[setupBody]) (*body[Session], error) {
	email := strings.TrimSpace(in.Body.Email)
	v := auth.CheckEmail("email", email)
	v = append(v, auth.CheckDisplayName("name", in.Body.Name)...)
	v = append(v, auth.CheckPassword("password", in.Body.Password)...)
	if err := v.OrNil(); err != nil {
		return nil, err
	}
	if err := s.throttled(ctx, email); err != nil {
		return nil, err
	}
	// Asked first so that a finished installation hashes nothing for strangers; CreateOwner decides.
	if exists, err := s.db.HasOwner(ctx); err != nil {
		return nil, err
	} else if exists {
		return nil, setupDone()
	}
	hash, err := s.passwords.Hash(ctx, in.Body.Password)
	if err != nil {
		return nil, err
	}
	var session Session
	err = s.db.InTx(ctx, func(q *db.Queries) error {
		owner, err := q.CreateOwner(ctx, db.User{Email: email, Name: strings.TrimSpace(in.Body.Name), PasswordHash: hash})
		if err != nil {
			return err
		}
		ctx := withPrincipal(ctx, principal{User: owner})
		if session, err = s.openSession(ctx, q, owner, auth.Permissions()); err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "auth.setup", "user", owner.ID, map[string]any{"after": session.User}))
	})
	if errors.Is(err, db.ErrSetupDone) {
		return nil, setupDone()
	}
	if err != nil {
		return nil, err
	}
	return &body[Session]{session}, nil
}

func setupDone() error {
	return problem.New(http.StatusConflict, "The owner exists already; sign in with POST /api/auth/login.")
}

func (s *server) login(ctx context.Context, in *body[loginBody]) (*body[Session], error) {
	email := strings.TrimSpace(in.Body.Email)
	if err := s.throttled(ctx, email); err != nil {
		return nil, err
	}
	user, err := s.db.UserByEmail(ctx, email)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return nil, err
	}
	hash := user.PasswordHash
	if !user.IsActive || len(in.Body.Password) > auth.MaxPasswordLength {
		hash = ""
	}
	match, err := s.passwords.Matches(ctx, in.Body.Password, hash)
	if err != nil {
		return nil, err
	}
	if !match {
		return nil, s.loginFailed(ctx, user)
	}
	s.throttle.Succeeded(email, middleware.RequestOf(ctx).IP)
	session, err := s.signIn(ctx, user)
	if errors.Is(err, db.ErrNotFound) {
		return nil, s.loginFailed(ctx, user)
	}
	if err != nil {
		return nil, err
	}
	return &body[Session]{session}, nil
}

// loginFailed audits the failure and answers the same for every cause. What was typed as the email
// of an account that does not exist is not written down: people type passwords there.
func (s *server) loginFailed(ctx context.Context, user db.User) error {
	entry := audited(ctx, "auth.login_failed", "user", user.ID, nil)
	if user.ID != "" {
		entry.ActorName = user.Email
	}
	if err := s.db.AddAudit(ctx, entry); err != nil {
		return err
	}
	return unauthorised("The email or the password is wrong.")
}

// signIn opens a session for the user whose password was compared. Errors: db.ErrNotFound when the account
// was deactivated, or its password changed, meanwhile: a sign-in that began with the old password must not
// outlive the change.
func (s *server) signIn(ctx context.Context, user db.User) (Session, error) {
	var session Session
	err := s.db.InTx(ctx, func(q *db.Queries) error {
		now, err := q.LockUser(ctx, user.ID)
		if err != nil {
			return err
		}
		if !now.IsActive || now.PasswordHash != user.PasswordHash {
			return db.ErrNotFound
		}
		names, err := q.UserPermissions(ctx, user.ID)
		if err != nil {
			return err
		}
		ctx := withPrincipal(ctx, principal{User: user})
		if session, err = s.openSession(ctx, q, user, auth.NewGrants(names).List()); err != nil {
			return err
		}
		if err := q.SetLastLogin(ctx, user.ID); err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "auth.login", "user", user.ID, nil))
	})
	return session, err
}

func (s *server) openSession(ctx context.Context, q *db.Queries, user db.User, permissions []auth.Permission) (Session, error) {
	token, hash, err := auth.NewToken()
	if err != nil {
		return Session{}, err
	}
	request, now := middleware.RequestOf(ctx), time.Now()
	expires := s.sessionEnd(now, now)
	_, err = q.CreateSession(ctx, db.Session{
		UserID: user.ID, TokenHash: hash, IP: request.IP, UserAgent: request.UserAgent, ExpiresAt: expires,
	})
	if err != nil {
		return Session{}, err
	}
	return Session{Token: token, ExpiresAt: expires.UTC(), User: viewUser(user, permissions)}, nil
}

// throttled answers 429 when this account or this address tried too often. The trail names an account that exists.
func (s *server) throttled(ctx context.Context, account string) error {
	wait := s.throttle.Allow(account, middleware.RequestOf(ctx).IP)
	if wait <= 0 {
		return nil
	}
	err := s.refusals.add(ctx, audited(ctx, "auth.throttled", "user", "", nil), func(entry *db.AuditEntry) error {
		user, err := s.db.UserByEmail(ctx, account)
		if errors.Is(err, db.ErrNotFound) {
			return nil
		}
		entry.ResourceID, entry.ActorName = user.ID, user.Email
		return err
	})
	if err != nil {
		return err
	}
	return problem.TooManyRequests("There were too many attempts; wait as long as the Retry-After header says, then try again.", wait)
}

func (s *server) logout(ctx context.Context, _ *empty) (*empty, error) {
	who := principalOf(ctx)
	return nil, s.endSession(ctx, who.SessionID, "auth.logout")
}

func (s *server) me(ctx context.Context, _ *empty) (*body[User], error) {
	who := principalOf(ctx)
	return &body[User]{viewUser(who.User, who.Grants.List())}, nil
}

func viewUser(u db.User, permissions []auth.Permission) User {
	return User{ID: u.ID, Email: u.Email, Name: u.Name, Owner: u.IsOwner, Permissions: permissions}
}
