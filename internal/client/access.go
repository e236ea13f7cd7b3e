package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// UserDocument is what is written of a user. A nil Active is true; Password is never shown.
type UserDocument struct {
	Email    string   `json:"email"`
	Name     string   `json:"name,omitempty"`
	Password string   `json:"password,omitempty"`
	Active   *bool    `json:"is_active,omitempty"`
	Roles    []string `json:"roles,omitempty"`
}

// Account is a user as who manages access sees it.
type Account struct {
	ID          string     `json:"id"`
	Email       string     `json:"email"`
	Name        string     `json:"name"`
	Owner       bool       `json:"owner"`
	Active      bool       `json:"is_active"`
	HasPassword bool       `json:"has_password"`
	Roles       []string   `json:"roles"`
	LastLoginAt *time.Time `json:"last_login_at"`
	Version     int64      `json:"version"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

// RoleDocument is what is written of a role.
type RoleDocument struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Permissions []string `json:"permissions,omitempty"`
}

// Role is a named set of permissions.
type Role struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	System      bool      `json:"system"`
	Permissions []string  `json:"permissions"`
	Version     int64     `json:"version"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// Permission is one thing that a role may grant.
type Permission struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// SessionInfo is a sign-in.
type SessionInfo struct {
	ID         string    `json:"id"`
	Current    bool      `json:"current"`
	IP         string    `json:"ip"`
	UserAgent  string    `json:"user_agent"`
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
}

// TokenDocument is what is written of an API token; the zero ExpiresAt is 90 days from now.
type TokenDocument struct {
	Name        string    `json:"name"`
	Permissions []string  `json:"permissions"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
}

// APIToken is an API token. Token, the secret, is only there in the answer that made it.
type APIToken struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Permissions []string   `json:"permissions"`
	LastUsedAt  *time.Time `json:"last_used_at"`
	LastUsedIP  string     `json:"last_used_ip"`
	CreatedAt   time.Time  `json:"created_at"`
	ExpiresAt   time.Time  `json:"expires_at"`
	Token       string     `json:"token"`
}

// AuditLog is an entry of the audit trail.
type AuditLog struct {
	ID         string         `json:"id"`
	ActorID    *string        `json:"actor_id"`
	ActorName  string         `json:"actor_name"`
	Action     string         `json:"action"`
	Resource   string         `json:"resource"`
	ResourceID string         `json:"resource_id"`
	IP         string         `json:"ip"`
	UserAgent  string         `json:"user_agent"`
	RequestID  string         `json:"request_id"`
	Changes    map[string]any `json:"changes"`
	CreatedAt  time.Time      `json:"created_at"`
}

// AuditFilter narrows the audit trail; zero fields do not. Actor is an id or an email.
type AuditFilter struct {
	Actor, Action, Resource, ResourceID string
	From, To                            time.Time
}

func (f AuditFilter) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{"actor": f.Actor, "action": f.Action, "resource": f.Resource, "resource_id": f.ResourceID} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"from": f.From, "to": f.To} {
		if !at.IsZero() {
			query.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	return query
}

type items[T any] struct {
	Items []T `json:"items"`
}

// Users are the users, for who manages access.
func (c *Client) Users() Resource[UserDocument, Account] {
	return Resource[UserDocument, Account]{c, "/api/access/users"}
}

// Roles are the roles, for who manages access.
func (c *Client) Roles() Resource[RoleDocument, Role] {
	return Resource[RoleDocument, Role]{c, "/api/access/roles"}
}

// Tokens are the API tokens of who is signed in; they are not updated.
func (c *Client) Tokens() Resource[TokenDocument, APIToken] {
	return Resource[TokenDocument, APIToken]{c, "/api/auth/tokens"}
}

// Permissions lists the permissions there are.
func (c *Client) Permissions(ctx context.Context) ([]Permission, error) {
	var out items[Permission]
	err := c.call(ctx, http.MethodGet, "/api/access/permissions", nil, nil, &out)
	return out.Items, err
}

// ChangePassword replaces the password of who is signed in and ends their other sessions.
func (c *Client) ChangePassword(ctx context.Context, current, next string) error {
	body := map[string]string{"current_password": current, "new_password": next}
	return c.call(ctx, http.MethodPost, "/api/auth/password", nil, body, nil)
}

// Sessions lists the sessions of who is signed in.
func (c *Client) Sessions(ctx context.Context) ([]SessionInfo, error) {
	return collect[SessionInfo](ctx, c, "/api/auth/sessions", nil)
}

// EndSession ends one session of who is signed in; "" ends all but this one.
func (c *Client) EndSession(ctx context.Context, id string) error {
	path := "/api/auth/sessions"
	if id != "" {
		path += "/" + url.PathEscape(id)
	}
	return c.call(ctx, http.MethodDelete, path, nil, nil, nil)
}

// LogoutEverywhere ends every session of who is signed in, this one too.
func (c *Client) LogoutEverywhere(ctx context.Context) error {
	if err := c.call(ctx, http.MethodPost, "/api/auth/logout-everywhere", nil, nil, nil); err != nil {
		return err
	}
	c.SetToken("")
	return nil
}

// EndUserSessions ends every session of another user.
func (c *Client) EndUserSessions(ctx context.Context, userID string) error {
	return c.call(ctx, http.MethodDelete, c.Users().at(userID)+"/sessions", nil, nil, nil)
}

// AuditLogs lists the audit trail, newest first.
func (c *Client) AuditLogs(ctx context.Context, filter AuditFilter) ([]AuditLog, error) {
	return collect[AuditLog](ctx, c, "/api/audit-logs", filter.query())
}

// ExportAuditLogs streams the audit trail, newest first, to each. It ends with the first error of each, and
// with an error when the stream broke off.
func (c *Client) ExportAuditLogs(ctx context.Context, filter AuditFilter, each func(AuditLog) error) error {
	answer, err := c.send(ctx, http.MethodGet, "/api/audit-logs/export", filter.query(), nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	decoder := json.NewDecoder(answer.Body)
	for {
		var entry AuditLog
		switch err := decoder.Decode(&entry); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the audit trail: %w", err)
		}
		if err := each(entry); err != nil {
			return err
		}
	}
}
