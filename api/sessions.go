package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
)

// SessionInfo is one of the caller's own sign-ins.
type SessionInfo struct {
	ID         string    `json:"id" format:"uuid"`
	Current    bool      `json:"current" doc:"The session that asks"`
	IP         string    `json:"ip"`
	UserAgent  string    `json:"user_agent"`
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
}

// ByID is the path parameter of whatever names one thing.
// It is exported because huma does not look into embedded types that are not.
type ByID struct {
	ID string `path:"id" format:"uuid" doc:"Its id"`
}

type list[T any] struct {
	Items []T `json:"items" nullable:"false"`
}

func (s *server) registerSessions() {
	tags := []string{"Sign-in"}
	register(s, ownSession(), huma.Operation{
		OperationID: "list-sessions", Method: http.MethodGet, Path: "/api/auth/sessions", Tags: tags,
		Summary: "My sessions",
	}, s.listSessions)
	register(s, ownSession(), huma.Operation{
		OperationID: "end-other-sessions", Method: http.MethodDelete, Path: "/api/auth/sessions", Tags: tags,
		Summary: "End all my sessions but this one", DefaultStatus: http.StatusNoContent,
	}, s.endOtherSessions)
	register(s, ownSession(), huma.Operation{
		OperationID: "sign-out-everywhere", Method: http.MethodPost, Path: "/api/auth/logout-everywhere", Tags: tags,
		Summary: "End all my sessions, this one too", Description: "API tokens stay; revoke those at /api/auth/tokens.", DefaultStatus: http.StatusNoContent,
	}, s.signOutEverywhere)
	register(s, ownSession(), huma.Operation{
		OperationID: "end-session", Method: http.MethodDelete, Path: "/api/auth/sessions/{id}", Tags: tags,
		Summary: "End one of my sessions", DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *ByID) (*empty, error) {
		return nil, s.endSession(ctx, in.ID, "auth.session_ended")
	})
}

func (s *server) listSessions(ctx context.Context, in *Paging) (*body[page[SessionInfo]], error) {
	return s.sessionsOf(ctx, principalOf(ctx).User.ID, in.page())
}

// sessionsOf is a page of the sessions of a user; the caller's own is marked.
func (s *server) sessionsOf(ctx context.Context, userID string, wanted db.Page) (*body[page[SessionInfo]], error) {
	rows, next, err := s.db.ListSessions(ctx, userID, wanted)
	if err != nil {
		return nil, err
	}
	current := principalOf(ctx).SessionID
	return pageOf(rows, next, func(row db.Session) SessionInfo {
		return SessionInfo{
			ID: row.ID, Current: row.ID == current, IP: row.IP, UserAgent: row.UserAgent,
			CreatedAt: row.CreatedAt, LastSeenAt: row.LastSeenAt, ExpiresAt: row.ExpiresAt,
		}
	}), nil
}

// signOutEverywhere ends every session of the caller, this one too.
func (s *server) signOutEverywhere(ctx context.Context, _ *empty) (*empty, error) {
	who := principalOf(ctx)
	return nil, s.db.InTx(ctx, func(q *db.Queries) error {
		if err := lockCaller(ctx, q); err != nil {
			return err
		}
		ended, err := q.DeleteSessions(ctx, who.User.ID, "")
		if err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "auth.signed_out_everywhere", "user", who.User.ID, map[string]any{"ended": ended}))
	})
}

func (s *server) endOtherSessions(ctx context.Context, _ *empty) (*empty, error) {
	who := principalOf(ctx)
	return nil, s.db.InTx(ctx, func(q *db.Queries) error {
		if err := lockCaller(ctx, q); err != nil {
			return err
		}
		ended, err := q.DeleteSessions(ctx, who.User.ID, who.SessionID)
		if err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "auth.sessions_ended", "user", who.User.ID, map[string]any{"ended": ended}))
	})
}

// endSession ends a session of the caller; somebody else's is not found.
func (s *server) endSession(ctx context.Context, id, action string) error {
	who := principalOf(ctx)
	return s.db.InTx(ctx, func(q *db.Queries) error {
		if err := lockCaller(ctx, q); err != nil {
			return err
		}
		if err := q.DeleteSession(ctx, who.User.ID, id); err != nil {
			return missing(err, "session of yours", id)
		}
		return q.AddAudit(ctx, audited(ctx, action, "session", id, nil))
	})
}
