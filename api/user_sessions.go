package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

type partOfUser struct {
	ID   string `path:"id" format:"uuid" doc:"Id of the user"`
	Part string `path:"part" format:"uuid" doc:"Its id"`
}

func (s *server) registerUserSessions() {
	tags, manage, path := []string{"Access"}, requires(auth.AccessManage), usersPath+"/{id}"
	gone := []int{http.StatusNotFound, http.StatusConflict}
	register(s, manage, huma.Operation{
		OperationID: "list-user-sessions", Method: http.MethodGet, Path: path + "/sessions", Tags: tags, Summary: "Sessions of a user", Errors: gone[:1],
	}, s.listUserSessions)
	register(s, manage, huma.Operation{
		OperationID: "end-user-sessions", Method: http.MethodDelete, Path: path + "/sessions", Tags: tags,
		Summary: "End all sessions of a user", DefaultStatus: http.StatusNoContent, Errors: gone,
	}, s.endUserSessions)
	register(s, manage, huma.Operation{
		OperationID: "end-user-session", Method: http.MethodDelete, Path: path + "/sessions/{part}", Tags: tags,
		Summary: "End a session of a user", DefaultStatus: http.StatusNoContent, Errors: gone,
	}, s.endUserSession)
	register(s, manage, huma.Operation{
		OperationID: "list-user-tokens", Method: http.MethodGet, Path: path + "/tokens", Tags: tags, Summary: "API tokens of a user", Errors: gone[:1],
	}, s.listUserTokens)
	register(s, manage, huma.Operation{
		OperationID: "revoke-user-token", Method: http.MethodDelete, Path: path + "/tokens/{part}", Tags: tags,
		Summary: "Revoke an API token of a user", DefaultStatus: http.StatusNoContent, Errors: gone,
	}, s.revokeUserToken)
}

func (s *server) listUserSessions(ctx context.Context, in *struct {
	ByID
	Paging
}) (*body[page[SessionInfo]], error) {
	if _, err := s.db.UserByID(ctx, in.ID); err != nil {
		return nil, missing(err, "user", in.ID)
	}
	return s.sessionsOf(ctx, in.ID, in.page())
}

func (s *server) endUserSessions(ctx context.Context, in *ByID) (*empty, error) {
	return nil, s.changeSignIns(ctx, "end-user-sessions", in.ID, func(q *db.Queries) (db.AuditEntry, error) {
		ended, err := q.DeleteSessions(ctx, in.ID, "")
		return audited(ctx, "user.sessions_ended", "user", in.ID, map[string]any{"ended": ended}), err
	})
}

func (s *server) endUserSession(ctx context.Context, in *partOfUser) (*empty, error) {
	return nil, s.changeSignIns(ctx, "end-user-session", in.ID, func(q *db.Queries) (db.AuditEntry, error) {
		err := missing(q.DeleteSession(ctx, in.ID, in.Part), "session of this user", in.Part)
		return audited(ctx, "user.session_ended", "session", in.Part, map[string]any{"user_id": in.ID}), err
	})
}

func (s *server) revokeUserToken(ctx context.Context, in *partOfUser) (*empty, error) {
	return nil, s.changeSignIns(ctx, "revoke-user-token", in.ID, func(q *db.Queries) (db.AuditEntry, error) {
		token, err := q.GetAPIToken(ctx, in.ID, in.Part)
		if err != nil {
			return db.AuditEntry{}, missing(err, "API token of this user", in.Part)
		}
		err = q.DeleteAPIToken(ctx, in.ID, in.Part)
		return audited(ctx, "api_token.revoke", "api_token", in.Part, map[string]any{"before": viewToken(token), "user_id": in.ID}), err
	})
}

func (s *server) listUserTokens(ctx context.Context, in *struct {
	ByID
	Paging
}) (*body[page[APIToken]], error) {
	if _, err := s.db.UserByID(ctx, in.ID); err != nil {
		return nil, missing(err, "user", in.ID)
	}
	rows, next, err := s.db.ListAPITokens(ctx, in.ID, in.page())
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, viewToken), nil
}

// changeSignIns ends what a user signs in with. It is a change of the user: whoever may do more than the
// caller is not signed out by them.
func (s *server) changeSignIns(ctx context.Context, operation, userID string, change func(q *db.Queries) (db.AuditEntry, error)) error {
	return s.changeAccess(ctx, operation, func(q *db.Queries, actor auth.Actor) error {
		_, account, err := lockedAccount(ctx, q, userID)
		if err != nil {
			return err
		}
		if err := auth.CheckAccountChange(actor, &account, &account); err != nil {
			return err
		}
		entry, err := change(q)
		if err != nil {
			return err
		}
		return q.AddAudit(ctx, entry)
	})
}
