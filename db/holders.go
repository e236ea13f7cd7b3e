package db

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// Limits are what limits a user to some resources.
type Limits struct {
	Rules  []ScopeRule         // their own, and those of their roles; without ids and times
	Grants map[string][]string // what each of their roles grants, by its id
}

// The statements of a session and of a token are written out here: what functions of the database give, sqlc does not know. The
// columns that both have in common come last, see holder.scan.
const (
	sessionHolder = `-- name: SessionByTokenHash :one
		SELECT session_id::text, session_ip, session_user_agent, session_created_at, session_last_seen_at, session_expires_at, ` + holderColumns + `
		FROM holder_of_session($1)`
	tokenHolder = `-- name: APITokenByHash :one
		SELECT token_id::text, token_name, token_permissions, token_last_used_at, token_last_used_ip, token_created_at, token_expires_at, ` + holderColumns + `
		FROM holder_of_token($1)`
	holderColumns = `holder_id::text, holder_email, holder_name, holder_password_hash, holder_is_owner, holder_is_active,
		holder_last_login_at, holder_version, holder_created_at, holder_updated_at, holder_permissions, holder_rules, holder_role_grants`
)

// holder is whom a session or a token is of.
type holder struct {
	user        User
	permissions []string
	limits      *Limits // nil for nothing
}

// scan reads a row: what is of the session or the token, then who holds it.
func (h *holder) scan(row pgx.Row, own ...any) error {
	var rules, grants []byte
	u := &h.user
	if err := row.Scan(append(own, &u.ID, &u.Email, &u.Name, &u.PasswordHash, &u.IsOwner, &u.IsActive,
		&u.LastLoginAt, &u.Version, &u.CreatedAt, &u.UpdatedAt, &h.permissions, &rules, &grants)...); err != nil || rules == nil {
		return err
	}
	var listed []struct {
		RoleID     *string `json:"role_id"`
		Permission string  `json:"permission"`
		Effect     string  `json:"effect"`
		Resource   string  `json:"resource"`
		ResourceID *string `json:"resource_id"`
		Tag        *string `json:"tag"`
	}
	h.limits = &Limits{}
	if err := json.Unmarshal(rules, &listed); err != nil {
		return failure.Wrap(failure.Corrupt, "read what limits user "+u.ID, err, "")
	}
	for _, rule := range listed {
		row := ScopeRule{RoleID: rule.RoleID, Permission: rule.Permission, Effect: rule.Effect, Resource: rule.Resource, ResourceID: rule.ResourceID, Tag: rule.Tag}
		if rule.RoleID == nil {
			row.UserID = &u.ID
		}
		h.limits.Rules = append(h.limits.Rules, row)
	}
	return failure.Wrap(failure.Corrupt, "read the roles of user "+u.ID, json.Unmarshal(grants, &h.limits.Grants), "")
}

// SessionByTokenHash finds the session of a token by the token's SHA-256. Errors: ErrNotFound.
func (q *Queries) SessionByTokenHash(ctx context.Context, hash [32]byte) (SignedIn, error) {
	var h holder
	s := Session{TokenHash: hash}
	err := h.scan(q.conn.QueryRow(ctx, sessionHolder, hash[:]), &s.ID, &s.IP, &s.UserAgent, &s.CreatedAt, &s.LastSeenAt, &s.ExpiresAt)
	if err != nil {
		return SignedIn{}, translate("read a session", err)
	}
	s.UserID = h.user.ID
	return SignedIn{Session: s, User: h.user, Permissions: h.permissions, Limits: h.limits}, nil
}

// APITokenByHash finds a token by its SHA-256. Errors: ErrNotFound.
func (q *Queries) APITokenByHash(ctx context.Context, hash [32]byte) (TokenUse, error) {
	var h holder
	t := APIToken{TokenHash: hash}
	err := h.scan(q.conn.QueryRow(ctx, tokenHolder, hash[:]), &t.ID, &t.Name, &t.Permissions, &t.LastUsedAt, &t.LastUsedIP, &t.CreatedAt, &t.ExpiresAt)
	if err != nil {
		return TokenUse{}, translate("read an API token", err)
	}
	t.UserID = h.user.ID
	return TokenUse{Token: t, User: h.user, UserPermissions: h.permissions, Limits: h.limits}, nil
}
