package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
)

// APIToken lets a script act as its owner, within some of the owner's permissions. Only the SHA-256 of the
// token is stored.
type APIToken struct {
	ID          string
	UserID      string
	Name        string
	TokenHash   [32]byte
	Permissions []string
	LastUsedAt  *time.Time
	LastUsedIP  string
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// TokenUse is a token with its owner and what the owner may do now. The caller decides on
// Token.ExpiresAt and User.IsActive, and takes of UserPermissions what the token has: nothing is filtered here.
type TokenUse struct {
	Token           APIToken
	User            User
	UserPermissions []string
	Limits          *Limits // as in SignedIn
}

// CreateAPIToken stores a token; an empty ID is made up. Errors: DuplicateError when the user has one of
// this name.
func (q *Queries) CreateAPIToken(ctx context.Context, t APIToken) (APIToken, error) {
	id, err := idOr(t.ID)
	if err != nil {
		return APIToken{}, err
	}
	row, err := q.q.CreateAPIToken(ctx, dbgen.CreateAPITokenParams{
		ID: id, UserID: t.UserID, Name: t.Name, TokenHash: t.TokenHash[:], Permissions: t.Permissions, ExpiresAt: t.ExpiresAt,
	})
	if err != nil {
		return APIToken{}, translate("create an API token", err)
	}
	return apiToken(row), nil
}

// GetAPIToken reads a token of this user. Errors: ErrNotFound, also for another user's token.
func (q *Queries) GetAPIToken(ctx context.Context, userID, id string) (APIToken, error) {
	op := "read API token " + id
	if err := checkID(op, id); err != nil {
		return APIToken{}, err
	}
	row, err := q.q.GetAPIToken(ctx, dbgen.GetAPITokenParams{ID: id, UserID: userID})
	return apiToken(row), translate(op, err)
}

// ListAPITokens reads one page of a user's tokens, newest first, expired ones too. Errors: ErrInvalidCursor.
func (q *Queries) ListAPITokens(ctx context.Context, userID string, page Page) ([]APIToken, string, error) {
	from, err := page.position()
	if err != nil {
		return nil, "", err
	}
	rows, err := q.q.ListAPITokens(ctx, dbgen.ListAPITokensParams{
		UserID: userID, BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch(),
	})
	if err != nil {
		return nil, "", translate("list the API tokens of user "+userID, err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.ApiToken) (time.Time, string) { return r.CreatedAt, r.ID })
	tokens, err := convert(rows, func(r dbgen.ApiToken) (APIToken, error) { return apiToken(r), nil })
	return tokens, next, err
}

// CountAPITokens is how many tokens a user has, expired ones too.
func (q *Queries) CountAPITokens(ctx context.Context, userID string) (int64, error) {
	n, err := q.q.CountAPITokens(ctx, userID)
	return n, translate("count the API tokens of user "+userID, err)
}

// DeleteAPIToken revokes a token of this user at once. Errors: ErrNotFound, also for another user's token.
func (q *Queries) DeleteAPIToken(ctx context.Context, userID, id string) error {
	op := "revoke API token " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	n, err := q.q.DeleteAPIToken(ctx, dbgen.DeleteAPITokenParams{ID: id, UserID: userID})
	return oneRow(op, n, err)
}

// DeleteAPITokens revokes every token of a user and returns how many there were.
func (q *Queries) DeleteAPITokens(ctx context.Context, userID string) (int64, error) {
	n, err := q.q.DeleteAPITokensOfUser(ctx, userID)
	return n, translate("revoke the API tokens of user "+userID, err)
}

// TouchAPIToken notes that the token was used just now, and from where.
func (q *Queries) TouchAPIToken(ctx context.Context, id, ip string) error {
	return translate("note the use of API token "+id, q.q.TouchAPIToken(ctx, dbgen.TouchAPITokenParams{ID: id, LastUsedIp: cleanText(ip)}))
}

func apiToken(row dbgen.ApiToken) APIToken {
	t := APIToken{
		ID: row.ID, UserID: row.UserID, Name: row.Name, Permissions: row.Permissions,
		LastUsedAt: row.LastUsedAt, LastUsedIP: row.LastUsedIp, CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt,
	}
	copy(t.TokenHash[:], row.TokenHash)
	return t
}
