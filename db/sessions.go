package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
)

// Session is a signed-in client. Only the SHA-256 of its token is stored.
type Session struct {
	ID         string
	UserID     string
	TokenHash  [32]byte
	IP         string
	UserAgent  string
	CreatedAt  time.Time
	LastSeenAt time.Time
	ExpiresAt  time.Time
}

// SignedIn is a session with its user and what the user may do now. The caller decides on
// ExpiresAt and User.IsActive: neither is filtered here.
type SignedIn struct {
	Session     Session
	User        User
	Permissions []string
	Limits      *Limits // to some resources, nil for none; the owner has none
}

// CreateSession stores a session; an empty ID is made up. CreatedAt and LastSeenAt are now.
func (q *Queries) CreateSession(ctx context.Context, s Session) (Session, error) {
	id, err := idOr(s.ID)
	if err != nil {
		return Session{}, err
	}
	row, err := q.q.CreateSession(ctx, dbgen.CreateSessionParams{
		ID: id, UserID: s.UserID, TokenHash: s.TokenHash[:], IP: cleanText(s.IP), UserAgent: cleanText(s.UserAgent), ExpiresAt: s.ExpiresAt,
	})
	if err != nil {
		return Session{}, translate("create a session", err)
	}
	return session(row), nil
}

// TouchSession notes that the session was used and moves its end. Errors: ErrNotFound.
func (q *Queries) TouchSession(ctx context.Context, id string, expiresAt time.Time) error {
	n, err := q.q.TouchSession(ctx, dbgen.TouchSessionParams{ID: id, ExpiresAt: expiresAt})
	return oneRow("extend session "+id, n, err)
}

// DeleteSession ends a session of this user. Errors: ErrNotFound, also for another user's session.
func (q *Queries) DeleteSession(ctx context.Context, userID, id string) error {
	op := "end session " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	n, err := q.q.DeleteSession(ctx, dbgen.DeleteSessionParams{ID: id, UserID: userID})
	return oneRow(op, n, err)
}

// DeleteSessions ends every session of a user but the one with the id keep ("" keeps none), and returns
// how many there were. A sign-in that a command line has yet to fetch ends as well.
func (q *Queries) DeleteSessions(ctx context.Context, userID, keep string) (int64, error) {
	op := "end the sessions of user " + userID
	if err := q.q.DeleteHandoffsOfUser(ctx, userID); err != nil {
		return 0, translate(op, err)
	}
	n, err := q.q.DeleteSessionsOfUser(ctx, dbgen.DeleteSessionsOfUserParams{UserID: userID, Keep: unlessZero(keep)})
	return n, translate(op, err)
}

// ListSessions reads one page of a user's sessions that have not expired, newest first. Errors: ErrInvalidCursor.
func (q *Queries) ListSessions(ctx context.Context, userID string, page Page) ([]Session, string, error) {
	from, err := page.position()
	if err != nil {
		return nil, "", err
	}
	rows, err := q.q.ListSessions(ctx, dbgen.ListSessionsParams{
		UserID: userID, BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch(),
	})
	if err != nil {
		return nil, "", translate("list the sessions of user "+userID, err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.AuthSession) (time.Time, string) { return r.CreatedAt, r.ID })
	sessions, err := convert(rows, func(r dbgen.AuthSession) (Session, error) { return session(r), nil })
	return sessions, next, err
}

// DeleteExpiredSessions removes what nobody can use any more and returns how many there were.
func (q *Queries) DeleteExpiredSessions(ctx context.Context) (int64, error) {
	n, err := q.q.DeleteExpiredSessions(ctx)
	return n, translate("remove expired sessions", err)
}

func session(row dbgen.AuthSession) Session {
	s := Session{
		ID: row.ID, UserID: row.UserID, IP: row.IP, UserAgent: row.UserAgent,
		CreatedAt: row.CreatedAt, LastSeenAt: row.LastSeenAt, ExpiresAt: row.ExpiresAt,
	}
	copy(s.TokenHash[:], row.TokenHash)
	return s
}
