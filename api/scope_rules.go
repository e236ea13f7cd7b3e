package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

const (
	scopesPath  = "/api/access/scopes"
	effectAllow = "allow"
	effectDeny  = "deny"
)

// ScopeRuleDocument is what a client writes of a scope rule.
type ScopeRuleDocument struct {
	UserID     string           `json:"user_id,omitempty" format:"uuid" doc:"Whom it limits: a user, in all that their roles grant, or"`
	RoleID     string           `json:"role_id,omitempty" format:"uuid" doc:"a role, in what it grants to whoever has it"`
	Permission string           `json:"permission" maxLength:"64" doc:"A permission, or * for each that can be limited: all but system.*, audit.* and access.*"`
	Effect     string           `json:"effect" enum:"allow,deny" doc:"allow: only what such a rule names; rules about one kind add up. deny: not what it names; it wins over every other rule and role"`
	Resource   domain.ScopeKind `json:"resource" enum:"datasource,storage_location,backup_job" doc:"Of which kind"`
	ResourceID string           `json:"resource_id,omitempty" format:"uuid" doc:"This one, or"`
	Tag        string           `json:"tag,omitempty" maxLength:"63" doc:"those with this tag; a backup job has the tags of its datasource"`
}

// ScopeRule is a scope rule as clients see it.
type ScopeRule struct {
	ID         string           `json:"id" format:"uuid"`
	UserID     *string          `json:"user_id"`
	RoleID     *string          `json:"role_id"`
	Permission string           `json:"permission"`
	Effect     string           `json:"effect"`
	Resource   domain.ScopeKind `json:"resource"`
	ResourceID *string          `json:"resource_id"`
	Tag        *string          `json:"tag"`
	CreatedAt  time.Time        `json:"created_at"`
}

func (s *server) registerScopeRules() {
	tags, manage := []string{"Access"}, requires(auth.AccessManage)
	register(s, manage, huma.Operation{
		OperationID: "list-scopes", Method: http.MethodGet, Path: scopesPath, Tags: tags, Summary: "List what limits users and roles",
	}, s.listScopeRules)
	register(s, manage, huma.Operation{
		OperationID: "create-scope", Method: http.MethodPost, Path: scopesPath, Tags: tags, Summary: "Limit a user or a role to some resources",
		Description: "What is outside is not found and missing in lists. Rules are made and deleted, not changed. " +
			"Nobody limits themselves, the owner, a role of the system, or who may do what they may not.",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict},
	}, s.createScopeRule)
	register(s, manage, huma.Operation{
		OperationID: "get-scope", Method: http.MethodGet, Path: scopesPath + "/{id}", Tags: tags, Summary: "Get a scope rule", Errors: []int{http.StatusNotFound},
	}, s.getScopeRule)
	register(s, manage, huma.Operation{
		OperationID: "delete-scope", Method: http.MethodDelete, Path: scopesPath + "/{id}", Tags: tags, Summary: "Lift a limit",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.deleteScopeRule)
}

type listScopesInput struct {
	Paging
	UserID string `query:"user_id" format:"uuid" doc:"Only the user's own"`
	RoleID string `query:"role_id" format:"uuid"`
}

func (s *server) listScopeRules(ctx context.Context, in *listScopesInput) (*body[page[ScopeRule]], error) {
	rows, next, err := s.db.ListScopeRules(ctx, db.ScopeRuleFilter{UserID: in.UserID, RoleID: in.RoleID}, in.page())
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, viewScopeRule), nil
}

func (s *server) getScopeRule(ctx context.Context, in *ByID) (*body[ScopeRule], error) {
	row, err := s.db.GetScopeRule(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "scope rule", in.ID)
	}
	return &body[ScopeRule]{viewScopeRule(row)}, nil
}

func (s *server) createScopeRule(ctx context.Context, in *body[ScopeRuleDocument]) (*created[ScopeRule], error) {
	row, invalid := in.Body.row()
	if err := invalid.OrNil(); err != nil {
		return nil, err
	}
	err := s.changeAccess(ctx, "create-scope", func(q *db.Queries, actor auth.Actor) (err error) {
		if err := checkLimited(ctx, q, actor, row); err != nil {
			return err
		}
		if err := checkSelected(ctx, q, row); err != nil {
			return err
		}
		if row, err = q.CreateScopeRule(ctx, row); err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "scope.create", "scope", row.ID, map[string]any{"after": viewScopeRule(row)}))
	})
	if err != nil {
		return nil, err
	}
	return &created[ScopeRule]{Location: scopesPath + "/" + row.ID, Body: viewScopeRule(row)}, nil
}

func (s *server) deleteScopeRule(ctx context.Context, in *ByID) (*empty, error) {
	return nil, s.changeAccess(ctx, "delete-scope", func(q *db.Queries, actor auth.Actor) error {
		row, err := q.GetScopeRule(ctx, in.ID)
		if err != nil {
			return missing(err, "scope rule", in.ID)
		}
		if err := checkLimited(ctx, q, actor, row); err != nil {
			return err
		}
		if err := q.DeleteScopeRule(ctx, in.ID); err != nil {
			return missing(err, "scope rule", in.ID)
		}
		return q.AddAudit(ctx, audited(ctx, "scope.delete", "scope", row.ID, map[string]any{"before": viewScopeRule(row)}))
	})
}

// checkLimited decides whether the actor may change what limits the user or the role of a rule.
func checkLimited(ctx context.Context, q *db.Queries, actor auth.Actor, rule db.ScopeRule) error {
	if rule.UserID != nil {
		_, account, err := lockedAccount(ctx, q, *rule.UserID)
		if err != nil {
			return missingField(err, "user_id", "user", *rule.UserID)
		}
		return auth.CheckAccountLimit(actor, account)
	}
	role, err := q.GetRole(ctx, *rule.RoleID)
	if err != nil {
		return missingField(err, "role_id", "role", *rule.RoleID)
	}
	own, err := q.UserRoles(ctx, actor.ID)
	if err != nil {
		return err
	}
	// The owner is never limited, by a role of theirs either.
	if slices.Contains(own, role.Name) && !principalOf(ctx).User.IsOwner {
		return &auth.Refusal{Reason: "You have this role, and nobody changes what limits themselves; ask another administrator."}
	}
	return auth.CheckRoleChange(actor, roleOf(role), roleOf(role))
}

// checkSelected refuses a rule about a resource that there is not: a mistyped id would lock out or let in
// unnoticed.
func checkSelected(ctx context.Context, q *db.Queries, rule db.ScopeRule) error {
	if rule.ResourceID == nil {
		return nil
	}
	var err error
	switch id := *rule.ResourceID; domain.ScopeKind(rule.Resource) {
	case domain.ScopeDatasource:
		_, err = q.GetDatasource(ctx, id)
	case domain.ScopeStorageLocation:
		_, err = q.GetStorageLocation(ctx, id)
	default:
		_, err = q.GetBackupJob(ctx, id)
	}
	return missingField(err, "resource_id", strings.ReplaceAll(rule.Resource, "_", " "), *rule.ResourceID)
}

// row checks the document and is the rule to store.
func (d ScopeRuleDocument) row() (db.ScopeRule, domain.Invalid) {
	var v domain.Invalid
	if (d.UserID == "") == (d.RoleID == "") {
		v.Add("user_id", "or role_id is required, and not both")
	}
	if (d.ResourceID == "") == (d.Tag == "") {
		v.Add("resource_id", "or tag is required, and not both")
	}
	if p := auth.Permission(d.Permission); d.Permission != auth.EveryPermission && (!auth.Known(p) || !auth.Scopable(p)) {
		v.Add("permission", "is %q, which is no permission that can be limited", d.Permission)
	}
	checkTags(&v, []string{d.Tag})
	row := db.ScopeRule{Permission: d.Permission, Effect: d.Effect, Resource: string(d.Resource)}
	row.UserID, row.RoleID, row.ResourceID = given(d.UserID), given(d.RoleID), given(d.ResourceID)
	if tags := domain.NormalizeTags([]string{d.Tag}); len(tags) == 1 {
		row.Tag = &tags[0]
	} else if d.Tag != "" {
		v.Add("tag", "is empty")
	}
	return row, v
}

// given is nil for a text that was left out.
func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func viewScopeRule(row db.ScopeRule) ScopeRule {
	return ScopeRule{
		ID: row.ID, UserID: row.UserID, RoleID: row.RoleID, Permission: row.Permission, Effect: row.Effect,
		Resource: domain.ScopeKind(row.Resource), ResourceID: row.ResourceID, Tag: row.Tag, CreatedAt: row.CreatedAt,
	}
}
