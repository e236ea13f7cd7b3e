package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

const (
	defaultTokenLife = 90 * 24 * time.Hour
	maxTokenLife     = 366 * 24 * time.Hour
	maxTokens        = 100 // of one user, expired ones too
)

// TokenDocument is what a client writes of an API token.
type TokenDocument struct {
	Name        string            `json:"name" doc:"What it is for; unique among your tokens" maxLength:"200"`
	Permissions []auth.Permission `json:"permissions" minItems:"1" maxItems:"100" doc:"What it may do: some of what you may. What you lose later, it loses"`
	ExpiresAt   time.Time         `json:"expires_at,omitzero" doc:"Default in 90 days; at most in 366"`
}

// APIToken is an API token as clients see it.
type APIToken struct {
	ID          string            `json:"id" format:"uuid"`
	Name        string            `json:"name"`
	Permissions []auth.Permission `json:"permissions" nullable:"false"`
	LastUsedAt  *time.Time        `json:"last_used_at" doc:"To the minute; null when it never was"`
	LastUsedIP  string            `json:"last_used_ip"`
	CreatedAt   time.Time         `json:"created_at"`
	ExpiresAt   time.Time         `json:"expires_at"`
}

// NewAPIToken is an API token with its secret.
type NewAPIToken struct {
	APIToken
	Token string `json:"token" doc:"Send it as Authorization: Bearer; it is not shown again"`
}

const tokensPath = "/api/auth/tokens" //nolint:gosec // a path, and no token

func (s *server) registerTokens() {
	tags := []string{"Sign-in"}
	register(s, ownSession(), huma.Operation{
		OperationID: "list-tokens", Method: http.MethodGet, Path: tokensPath, Tags: tags, Summary: "My API tokens",
	}, s.listTokens)
	register(s, ownSession(), huma.Operation{
		OperationID: "create-token", Method: http.MethodPost, Path: tokensPath, Tags: tags, Summary: "Make an API token",
		Description:   "For scripts: it acts as you, with the permissions it is given, until it expires. The token itself is answered this once.",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict},
	}, s.createToken)
	register(s, ownSession(), huma.Operation{
		OperationID: "get-token", Method: http.MethodGet, Path: tokensPath + "/{id}", Tags: tags, Summary: "Get one of my API tokens", Errors: []int{http.StatusNotFound},
	}, s.getToken)
	register(s, ownSession(), huma.Operation{
		OperationID: "revoke-token", Method: http.MethodDelete, Path: tokensPath + "/{id}", Tags: tags,
		Summary: "Revoke one of my API tokens", DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound},
	}, s.revokeToken)
}

func (s *server) listTokens(ctx context.Context, in *Paging) (*body[page[APIToken]], error) {
	rows, next, err := s.db.ListAPITokens(ctx, principalOf(ctx).User.ID, in.page())
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, viewToken), nil
}

func (s *server) getToken(ctx context.Context, in *ByID) (*body[APIToken], error) {
	row, err := s.db.GetAPIToken(ctx, principalOf(ctx).User.ID, in.ID)
	if err != nil {
		return nil, missing(err, "API token of yours", in.ID)
	}
	return &body[APIToken]{viewToken(row)}, nil
}

func (s *server) createToken(ctx context.Context, in *body[TokenDocument]) (*created[NewAPIToken], error) {
	who := principalOf(ctx)
	row, invalid := in.Body.row(who, time.Now())
	if err := invalid.OrNil(); err != nil {
		return nil, err
	}
	token, hash, err := auth.NewAPIToken()
	if err != nil {
		return nil, err
	}
	row.TokenHash = hash
	err = s.db.InTx(ctx, func(q *db.Queries) error {
		// Locked, so that nobody ends up with more tokens by making many at once.
		if err := lockCaller(ctx, q); err != nil {
			return err
		}
		if n, err := q.CountAPITokens(ctx, who.User.ID); err != nil {
			return err
		} else if n >= maxTokens {
			return problem.New(http.StatusConflict, fmt.Sprintf("You have %d API tokens already; revoke those that you do not need.", n))
		}
		if row, err = q.CreateAPIToken(ctx, row); err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "api_token.create", "api_token", row.ID, map[string]any{"after": viewToken(row)}))
	})
	if err != nil {
		return nil, err
	}
	return &created[NewAPIToken]{Location: tokensPath + "/" + row.ID, Body: NewAPIToken{APIToken: viewToken(row), Token: token}}, nil
}

func (s *server) revokeToken(ctx context.Context, in *ByID) (*empty, error) {
	who := principalOf(ctx)
	return nil, s.db.InTx(ctx, func(q *db.Queries) error {
		if err := lockCaller(ctx, q); err != nil {
			return err
		}
		row, err := q.GetAPIToken(ctx, who.User.ID, in.ID)
		if err != nil {
			return missing(err, "API token of yours", in.ID)
		}
		if err := q.DeleteAPIToken(ctx, who.User.ID, in.ID); err != nil {
			return missing(err, "API token of yours", in.ID)
		}
		return q.AddAudit(ctx, audited(ctx, "api_token.revoke", "api_token", in.ID, map[string]any{"before": viewToken(row)}))
	})
}

// row checks the document and is the token to store, but for its hash.
func (d TokenDocument) row(who principal, now time.Time) (db.APIToken, domain.Invalid) {
	var v domain.Invalid
	domain.CheckName(&v, d.Name)
	row := db.APIToken{UserID: who.User.ID, Name: strings.TrimSpace(d.Name), ExpiresAt: d.ExpiresAt}
	if row.ExpiresAt.IsZero() {
		row.ExpiresAt = now.Add(defaultTokenLife)
	}
	switch {
	case !row.ExpiresAt.After(now):
		v.Add("expires_at", "is in the past")
	case row.ExpiresAt.After(now.Add(maxTokenLife)):
		v.Add("expires_at", "is too far away; a token lives for 366 days at most")
	}
	for _, p := range d.Permissions {
		if !who.Grants.Allows(p) {
			v.Add("permissions", "has %q, which you do not hold", string(p))
			break
		}
		row.Permissions = append(row.Permissions, string(p))
	}
	if len(d.Permissions) == 0 {
		v.Add("permissions", "is required; a token without any can do nothing")
	}
	slices.Sort(row.Permissions)
	row.Permissions = slices.Compact(row.Permissions)
	return row, v
}

func viewToken(row db.APIToken) APIToken {
	return APIToken{
		ID: row.ID, Name: row.Name, Permissions: auth.NewGrants(row.Permissions).List(), LastUsedAt: row.LastUsedAt,
		LastUsedIP: row.LastUsedIP, CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt,
	}
}
