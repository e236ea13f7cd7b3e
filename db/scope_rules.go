package db

import (
	"context"
	"slices"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// ScopeRule limits a permission of a user or a role to a resource, or takes a resource away from it.
type ScopeRule struct {
	ID         string
	UserID     *string // exactly one of the two
	RoleID     *string
	Permission string // "*" is every one
	Effect     string // allow or deny
	Resource   string // a domain.ScopeKind
	ResourceID *string
	Tag        *string // exactly one of the two
	CreatedAt  time.Time
}

// ScopeRuleFilter narrows a list of rules; zero fields do not.
type ScopeRuleFilter struct {
	UserID string
	RoleID string
}

// CreateScopeRule stores a rule; an empty ID is made up. Errors: DuplicateError, ReferenceError.
func (q *Queries) CreateScopeRule(ctx context.Context, r ScopeRule) (ScopeRule, error) {
	id, err := idOr(r.ID)
	if err != nil {
		return ScopeRule{}, err
	}
	row, err := q.q.CreateScopeRule(ctx, dbgen.CreateScopeRuleParams{
		ID: id, UserID: r.UserID, RoleID: r.RoleID, Permission: r.Permission, Effect: r.Effect,
		Resource: r.Resource, ResourceID: r.ResourceID, Tag: r.Tag,
	})
	return ScopeRule(row), translate("create a scope rule", err)
}

// GetScopeRule reads one. Errors: ErrNotFound.
func (q *Queries) GetScopeRule(ctx context.Context, id string) (ScopeRule, error) {
	op := "read scope rule " + id
	if err := checkID(op, id); err != nil {
		return ScopeRule{}, err
	}
	row, err := q.q.GetScopeRule(ctx, id)
	return ScopeRule(row), translate(op, err)
}

// ListScopeRules reads one page, newest first. Errors: ErrInvalidCursor.
func (q *Queries) ListScopeRules(ctx context.Context, filter ScopeRuleFilter, page Page) ([]ScopeRule, string, error) {
	from, err := page.position()
	if err != nil {
		return nil, "", err
	}
	rows, err := q.q.ListScopeRules(ctx, dbgen.ListScopeRulesParams{
		UserID: unlessZero(filter.UserID), RoleID: unlessZero(filter.RoleID),
		BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch(),
	})
	if err != nil {
		return nil, "", translate("list scope rules", err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.AccessScope) (time.Time, string) { return r.CreatedAt, r.ID })
	rules, err := convert(rows, func(r dbgen.AccessScope) (ScopeRule, error) { return ScopeRule(r), nil })
	return rules, next, err
}

// DeleteScopeRule removes a rule. Errors: ErrNotFound.
func (q *Queries) DeleteScopeRule(ctx context.Context, id string) error {
	op := "delete scope rule " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	n, err := q.q.DeleteScopeRule(ctx, id)
	return oneRow(op, n, err)
}

// LimitsOfUser reads what limits a user, also where nothing does: what each of their roles grants is there then as well.
func (q *Queries) LimitsOfUser(ctx context.Context, userID string) (Limits, error) {
	rules, err := q.q.ScopeRulesOfUser(ctx, userID)
	if err != nil {
		return Limits{}, translate("read what limits user "+userID, err)
	}
	roles, err := q.q.GrantsByRole(ctx, userID)
	if err != nil {
		return Limits{}, translate("read the roles of user "+userID, err)
	}
	limits := Limits{Grants: make(map[string][]string)}
	for _, rule := range rules {
		limits.Rules = append(limits.Rules, ScopeRule(rule))
	}
	for _, role := range roles {
		limits.Grants[role.RoleID] = append(limits.Grants[role.RoleID], role.Name)
	}
	return limits, nil
}

// ResolveScope looks up the ids of what has the tags of a scope, and adds them to it. A nil scope stays nil.
func (q *Queries) ResolveScope(ctx context.Context, scope *domain.Scope) error {
	if scope == nil {
		return nil
	}
	for _, kind := range domain.ScopeKinds() {
		var selectors []domain.Selector
		for _, limits := range slices.Concat(scope.Any, [][]domain.Limit{scope.Deny}) {
			for _, limit := range limits {
				if limit.Kind == kind && len(limit.Selector.Tags) > 0 {
					selectors = append(selectors, limit.Selector)
				}
			}
		}
		if err := q.addTagged(ctx, kind, selectors); err != nil {
			return translate("look up the tags of a scope", err)
		}
	}
	return nil
}

func (q *Queries) addTagged(ctx context.Context, kind domain.ScopeKind, selectors []domain.Selector) error {
	var tags []string
	for _, selector := range selectors {
		for tag := range selector.Tags {
			tags = append(tags, tag)
		}
	}
	if len(tags) == 0 {
		return nil
	}
	add := func(id, tag string) {
		for _, selector := range selectors {
			if selector.Tags[tag] {
				selector.IDs[id] = true
			}
		}
	}
	return q.eachTagged(ctx, kind, tags, add)
}

func (q *Queries) eachTagged(ctx context.Context, kind domain.ScopeKind, tags []string, add func(id, tag string)) error {
	switch kind {
	case domain.ScopeDatasource:
		rows, err := q.q.DatasourcesTagged(ctx, tags)
		for _, row := range rows {
			add(row.ID, row.Tag)
		}
		return err
	case domain.ScopeStorageLocation:
		rows, err := q.q.StorageLocationsTagged(ctx, tags)
		for _, row := range rows {
			add(row.ID, row.Tag)
		}
		return err
	default:
		rows, err := q.q.BackupJobsTagged(ctx, tags)
		for _, row := range rows {
			add(row.ID, row.Tag)
		}
		return err
	}
}
