package domain

import (
	"slices"
	"strings"
)

// ScopeKind is a kind of resource that a permission may be limited to some of.
type ScopeKind string

// The kinds.
const (
	ScopeDatasource      ScopeKind = "datasource"
	ScopeStorageLocation ScopeKind = "storage_location"
	ScopeBackupJob       ScopeKind = "backup_job"
)

// ScopeKinds lists them.
func ScopeKinds() []ScopeKind {
	return []ScopeKind{ScopeDatasource, ScopeStorageLocation, ScopeBackupJob}
}

// Selector picks resources of one kind by id and by tag. Ids holds those of the tags as well once they were
// looked up, in lower case; the tags are for a resource that is just being made.
type Selector struct {
	IDs  map[string]bool
	Tags map[string]bool
}

// Picks reports whether the selector picks a resource. One without an id, such as the job of an execution that
// has none, is never picked. One is known in whatever case its id is written: a database takes both.
func (s Selector) Picks(r Resource) bool {
	return r.ID != "" && (s.IDs[strings.ToLower(r.ID)] || slices.ContainsFunc(r.Tags, func(tag string) bool { return s.Tags[tag] }))
}

// Limit says that what is seen must have a resource of this kind that the selector picks.
type Limit struct {
	Kind     ScopeKind
	Selector Selector
}

// Scope is what one permission of somebody is limited to. A nil Scope limits nothing.
type Scope struct {
	// Any are the ways in: what satisfies every limit of one of them is seen. Nil is no limit.
	Any [][]Limit
	// Deny takes away from that, whatever grants it.
	Deny []Limit
}

// Resource is one that something belongs to.
type Resource struct {
	ID   string
	Tags []string
}

// Belongs names the resources that something belongs to, by kind. A kind that is left out does not apply to
// it: a datasource has no storage location, and a limit to some of those does not hide it. An execution
// without a job has one with an empty id, which no limit to jobs lets through.
type Belongs map[ScopeKind]Resource

// Allows reports whether the scope lets its holder see what belongs to these.
func (s *Scope) Allows(to Belongs) bool {
	if s == nil {
		return true
	}
	for _, limit := range s.Deny {
		if resource, applies := to[limit.Kind]; applies && limit.Selector.Picks(resource) {
			return false
		}
	}
	if s.Any == nil {
		return true
	}
	return slices.ContainsFunc(s.Any, func(way []Limit) bool {
		return !slices.ContainsFunc(way, func(limit Limit) bool {
			resource, applies := to[limit.Kind]
			return applies && !limit.Selector.Picks(resource)
		})
	})
}

// Only reports whether the scope limits nothing but these kinds, and so whether an operation that looks at
// these alone enforces it.
func (s *Scope) Only(kinds ...ScopeKind) bool {
	if s == nil {
		return true
	}
	other := func(limit Limit) bool { return !slices.Contains(kinds, limit.Kind) }
	return !slices.ContainsFunc(s.Deny, other) &&
		!slices.ContainsFunc(s.Any, func(way []Limit) bool { return slices.ContainsFunc(way, other) })
}
