package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

type passwordInput struct {
	Body struct {
		Current string `json:"current_password" maxLength:"4096"`
		New     string `json:"new_password" maxLength:"4096" doc:"At least 12 characters"`
	}
}

func (s *server) registerPassword() {
	register(s, ownSession(), huma.Operation{
		OperationID: "change-password", Method: http.MethodPost, Path: "/api/auth/password", Tags: []string{"Sign-in"},
		Summary:       "Change my password",
		Description:   "Ends all other sessions at once. Attempts with a wrong password are slowed down as sign-ins are. API tokens stay.",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusConflict, http.StatusTooManyRequests},
	}, s.changePassword)
}

func (s *server) changePassword(ctx context.Context, in *passwordInput) (*empty, error) {
	who := principalOf(ctx)
	if err := auth.CheckPassword("new_password", in.Body.New).OrNil(); err != nil {
		return nil, err
	}
	if err := s.throttled(ctx, who.User.Email); err != nil {
		return nil, err
	}
	hash := who.User.PasswordHash
	if len(in.Body.Current) > auth.MaxPasswordLength {
		hash = ""
	}
	match, err := s.passwords.Matches(ctx, in.Body.Current, hash)
	if err != nil {
		return nil, err
	}
	if !match {
		if err := s.db.AddAudit(ctx, audited(ctx, "auth.password_refused", "user", who.User.ID, nil)); err != nil {
			return nil, err
		}
		return nil, invalidField("current_password", "is not your password")
	}
	if in.Body.New == in.Body.Current {
		return nil, invalidField("new_password", "is the one you have; choose another")
	}
	fresh, err := s.passwords.Hash(ctx, in.Body.New)
	if err != nil {
		return nil, err
	}
	err = s.db.InTx(ctx, func(q *db.Queries) error {
		// It must still be the password that was compared: of two that change it at once, one is too late.
		if err := q.SetPassword(ctx, who.User.ID, fresh, &who.User.PasswordHash); err != nil {
			return err
		}
		ended, err := q.DeleteSessions(ctx, who.User.ID, who.SessionID)
		if err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "auth.password_changed", "user", who.User.ID, map[string]any{"sessions_ended": ended}))
	})
	if errors.Is(err, db.ErrNotFound) {
		return nil, invalidField("current_password", "was changed meanwhile; give the one you have now")
	}
	return nil, err
}
