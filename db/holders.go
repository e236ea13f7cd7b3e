package db

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// Limits are what limits a user to some resources.
type Limits struct {
	Rules  []ScopeRule         // their own, and those of their roles; without ids and times
	Grants map[string][]string // what each of their roles grants, by its id
}

// The statements of a session and of a token are written out here: what functions of the database give, sqlc does not know. The first of
// each pair finds who holds it and in which state the access is, the second what they may do besides. The columns that all have in
// common come last, see holder.scan.
var (
	sessionHolder = holderStatements{
		who:  "-- name: SessionByTokenHash :one\nSELECT " + sessionColumns + holderColumns("access_state") + " FROM session_of($1)",
		what: "-- name: SessionAndAccess :one\nSELECT " + sessionColumns + holderColumns(accessState) + accessColumns + " FROM holder_of_session($1)",
	}
	tokenHolder = holderStatements{
		who:  "-- name: APITokenByHash :one\nSELECT " + tokenColumns + holderColumns("access_state") + " FROM token_of($1)",
		what: "-- name: APITokenAndAccess :one\nSELECT " + tokenColumns + holderColumns(accessState) + accessColumns + " FROM holder_of_token($1)",
	}
)

type holderStatements struct{ who, what string }

const (
	// accessState is how many changes of what anybody may do have been committed: triggers count them.
	accessState = `(SELECT COALESCE(sum(n), 0)::bigint FROM access_changes)`

	sessionColumns = `session_id::text, session_ip, session_user_agent, session_created_at, session_last_seen_at, session_expires_at, `
	tokenColumns   = `token_id::text, token_name, token_permissions, token_last_used_at, token_last_used_ip, token_created_at, token_expires_at, ` //nolint:gosec // names of columns
	accessColumns  = `, holder_permissions, holder_rules, holder_role_grants`
)

func holderColumns(state string) string {
	return state + `, holder_id::text, holder_email, holder_name, holder_password_hash, holder_is_owner, holder_is_active,
		holder_last_login_at, holder_version, holder_created_at, holder_updated_at`
}

// holder is whom a session or a token is of.
type holder struct {
	user User
	access
}

// find reads who holds the session or the token of a hash, and what is of itself into own. What they may do is asked for
// when it has been changed since it was last read.
func (d *DB) find(ctx context.Context, by holderStatements, hash [32]byte, own ...any) (holder, error) {
	var h holder
	if err := d.pool.QueryRow(ctx, by.who, hash[:]).Scan(h.columns(own)...); err != nil {
		return h, err
	}
	if known, is := d.known.of(h.user.ID, h.state); is {
		h.access = known
		return h, nil
	}
	if err := h.scan(d.pool.QueryRow(ctx, by.what, hash[:]), own...); err != nil {
		return h, err
	}
	d.known.keep(h.user.ID, h.access)
	return h, nil
}

// columns are own, and then what every statement reads.
func (h *holder) columns(own []any) []any {
	u := &h.user
	return append(slices.Clone(own), &h.state, &u.ID, &u.Email, &u.Name, &u.PasswordHash, &u.IsOwner, &u.IsActive,
		&u.LastLoginAt, &u.Version, &u.CreatedAt, &u.UpdatedAt)
}

// scan reads a row: what is of the session or the token, then who holds it, then what they may do.
func (h *holder) scan(row pgx.Row, own ...any) error {
	var rules, grants []byte
	u := &h.user
	if err := row.Scan(append(h.columns(own), &h.permissions, &rules, &grants)...); err != nil || rules == nil {
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
			id := u.ID // what is remembered of the rule is not to keep the user
			row.UserID = &id
		}
		h.limits.Rules = append(h.limits.Rules, row)
	}
	return failure.Wrap(failure.Corrupt, "read the roles of user "+u.ID, json.Unmarshal(grants, &h.limits.Grants), "")
}

// SessionByTokenHash finds the session of a token by the token's SHA-256. Permissions and Limits are shared, and not to be changed. Errors:
// ErrNotFound.
func (d *DB) SessionByTokenHash(ctx context.Context, hash [32]byte) (SignedIn, error) {
	s := Session{TokenHash: hash}
	h, err := d.find(ctx, sessionHolder, hash, &s.ID, &s.IP, &s.UserAgent, &s.CreatedAt, &s.LastSeenAt, &s.ExpiresAt)
	if err != nil {
		return SignedIn{}, translate("read a session", err)
	}
	s.UserID = h.user.ID
	return SignedIn{Session: s, User: h.user, Permissions: h.permissions, Limits: h.limits}, nil
}

// APITokenByHash finds a token by its SHA-256. UserPermissions and Limits are shared, and not to be changed. Errors: ErrNotFound.
func (d *DB) APITokenByHash(ctx context.Context, hash [32]byte) (TokenUse, error) {
	t := APIToken{TokenHash: hash}
	h, err := d.find(ctx, tokenHolder, hash, &t.ID, &t.Name, &t.Permissions, &t.LastUsedAt, &t.LastUsedIP, &t.CreatedAt, &t.ExpiresAt)
	if err != nil {
		return TokenUse{}, translate("read an API token", err)
	}
	t.UserID = h.user.ID
	return TokenUse{Token: t, User: h.user, UserPermissions: h.permissions, Limits: h.limits}, nil
}
