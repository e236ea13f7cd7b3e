package auth

import (
	"strings"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// EveryPermission stands in a ScopeRule for each permission that can be limited.
const EveryPermission = "*"

// ScopeRule limits a permission to a resource, or takes a resource away from it.
type ScopeRule struct {
	RoleID     string // "" is a rule of the user themselves
	Permission string // of one permission, or EveryPermission
	Deny       bool
	Kind       domain.ScopeKind
	ResourceID string // this one, or
	Tag        string // those with this tag
}

// Held is what somebody holds, role by role, and what limits it.
type Held struct {
	Roles map[string]Grants // by the role's id
	Rules []ScopeRule
}

// Scopable reports whether a permission is about resources that it can be limited to. The others, about the
// installation itself, are held or not.
func Scopable(p Permission) bool {
	switch area, _, _ := strings.Cut(string(p), "."); area {
	case "system", "audit", "access":
		return false
	default:
		return true
	}
}

// Scope is what a permission is limited to, nil for no limit.
//
// A role's allowing rules limit what that role grants: who has the permission by two roles may do what either
// lets them. The user's own allowing rules limit all of that further. A denying rule, of the user or of any of
// their roles, wins over everything.
func (h Held) Scope(p Permission) *domain.Scope {
	if !Scopable(p) {
		return nil
	}
	own := h.limits(p, "")
	scope := &domain.Scope{Deny: h.denied(p)}
	for id, grants := range h.Roles {
		if !grants.Allows(p) {
			continue
		}
		byRole := h.limits(p, id)
		if len(byRole) == 0 {
			scope.Any = nil
			if len(own) > 0 {
				scope.Any = [][]domain.Limit{own}
			}
			break
		}
		scope.Any = append(scope.Any, append(byRole, own...))
	}
	if scope.Any == nil && len(scope.Deny) == 0 {
		return nil
	}
	return scope
}

// limits are the allowing rules of one holder: rules about one kind add up, kinds limit each other.
func (h Held) limits(p Permission, roleID string) []domain.Limit {
	selectors := make(map[domain.ScopeKind]domain.Selector)
	for _, rule := range h.Rules {
		if !rule.Deny && rule.RoleID == roleID && rule.about(p) {
			selectors[rule.Kind] = rule.addTo(selectors[rule.Kind])
		}
	}
	return inOrder(selectors)
}

func (h Held) denied(p Permission) []domain.Limit {
	selectors := make(map[domain.ScopeKind]domain.Selector)
	for _, rule := range h.Rules {
		if rule.Deny && rule.about(p) {
			selectors[rule.Kind] = rule.addTo(selectors[rule.Kind])
		}
	}
	return inOrder(selectors)
}

func (r ScopeRule) about(p Permission) bool {
	return r.Permission == EveryPermission || r.Permission == string(p)
}

func (r ScopeRule) addTo(s domain.Selector) domain.Selector {
	if s.IDs == nil {
		s = domain.Selector{IDs: make(map[string]bool), Tags: make(map[string]bool)}
	}
	if r.Tag != "" {
		s.Tags[r.Tag] = true
	} else {
		s.IDs[r.ResourceID] = true
	}
	return s
}

func inOrder(selectors map[domain.ScopeKind]domain.Selector) []domain.Limit {
	var out []domain.Limit
	for _, kind := range domain.ScopeKinds() {
		if selector, limited := selectors[kind]; limited {
			out = append(out, domain.Limit{Kind: kind, Selector: selector})
		}
	}
	return out
}

// Unlimited is what somebody holds without any limit, and so may hand on.
func (h Held) Unlimited() Grants {
	out := make(Grants)
	for _, grants := range h.Roles {
		for p := range grants {
			if h.Scope(p) == nil {
				out[p] = struct{}{}
			}
		}
	}
	return out
}

// ByTag reports whether any rule names a tag. Who is limited so must not change tags: with a tag they could
// bring a resource under another of their permissions.
func (h Held) ByTag() bool {
	for _, rule := range h.Rules {
		if rule.Tag != "" {
			return true
		}
	}
	return false
}
