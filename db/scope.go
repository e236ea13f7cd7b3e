package db

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// ErrOutOfScope says that what was to be made lies outside of what its maker is limited to.
var ErrOutOfScope = errors.New("it lies outside of what you are limited to")

type scopeKey struct{}

// WithScope gives a context under which datasources, storage locations, backup jobs and executions outside of
// scope are not found, are missing in lists and can not be made. It is the one place where scopes are enforced:
// whatever an operation reads of these, it reads here. The tags in scope must have been looked up: ResolveScope.
func WithScope(ctx context.Context, scope *domain.Scope) context.Context {
	return context.WithValue(ctx, scopeKey{}, scope)
}

// Unscoped gives a context that sees everything again, for what an operation must know although its caller may
// not: which jobs use a pool, say. Nothing read under it may be shown.
func Unscoped(ctx context.Context) context.Context { return WithScope(ctx, nil) }

// Scoped reports whether ctx is limited to anything.
func Scoped(ctx context.Context) bool { return scopeOf(ctx) != nil }

// scopeOf is what ctx is limited to, nil for nothing.
func scopeOf(ctx context.Context) *domain.Scope {
	scope, _ := ctx.Value(scopeKey{}).(*domain.Scope)
	return scope
}

// seen answers ErrNotFound for what ctx is not to see.
func seen(ctx context.Context, op string, to domain.Belongs) error {
	if scopeOf(ctx).Allows(to) {
		return nil
	}
	return translate(op, ErrNotFound)
}

// makeable answers ErrOutOfScope for what ctx could not see once it is made.
func makeable(ctx context.Context, to domain.Belongs) error {
	if scopeOf(ctx).Allows(to) {
		return nil
	}
	return ErrOutOfScope
}

// Sees reports whether ctx may see the resource of this kind with this id, which need not exist.
func (q *Queries) Sees(ctx context.Context, kind domain.ScopeKind, id string) bool {
	return scopeOf(ctx).Allows(domain.Belongs{kind: {ID: id}})
}

func ofDatasource(id string, tags []string) domain.Belongs {
	return domain.Belongs{domain.ScopeDatasource: {ID: id, Tags: tags}}
}

func ofStorageLocation(id string, tags []string) domain.Belongs {
	return domain.Belongs{domain.ScopeStorageLocation: {ID: id, Tags: tags}}
}

func ofJob(datasource, storage, job *string) domain.Belongs {
	out := make(domain.Belongs)
	for kind, id := range map[domain.ScopeKind]*string{
		domain.ScopeDatasource: datasource, domain.ScopeStorageLocation: storage, domain.ScopeBackupJob: job,
	} {
		out[kind] = domain.Resource{}
		if id != nil {
			out[kind] = domain.Resource{ID: *id}
		}
	}
	return out
}

// scopesFor is the scope of ctx for what may be about a datasource, a storage location or a job, as entity_in_scope of
// the database reads it; nil for none.
func scopesFor(ctx context.Context) ([]byte, error) {
	if scopeOf(ctx) == nil {
		return nil, nil
	}
	documents := make(map[string]json.RawMessage)
	for name, kinds := range map[string][]domain.ScopeKind{
		"datasource": {domain.ScopeDatasource}, "storage_location": {domain.ScopeStorageLocation}, "all": domain.ScopeKinds(),
	} {
		document, err := scopeFor(ctx, kinds...)
		if err != nil {
			return nil, err
		}
		documents[name] = document
	}
	text, err := json.Marshal(documents)
	return text, failure.Wrap(failure.Unknown, "write a scope", err, "")
}

// inScope asks the database, by ask, about what a single row can not tell. outside is the error for what ctx does not
// see.
func inScope(ctx context.Context, op string, outside error, ask func(scope []byte) (bool, error)) error {
	scope, err := scopeFor(ctx, domain.ScopeKinds()...)
	if err != nil || scope == nil {
		return err
	}
	switch sees, err := ask(scope); {
	case err != nil:
		return translate(op, err)
	case !sees:
		return translate(op, outside)
	}
	return nil
}

// scopeDocument is a scope in the form that scope_allows of the database reads.
type scopeDocument struct {
	Any  []map[domain.ScopeKind]map[string]bool `json:"any,omitempty"`
	Deny map[domain.ScopeKind]map[string]bool   `json:"deny,omitempty"`
}

// documentFor is the scope of ctx for a list of what belongs to these kinds, nil for none.
func documentFor(ctx context.Context, kinds ...domain.ScopeKind) *scopeDocument {
	scope := scopeOf(ctx)
	if scope == nil {
		return nil
	}
	document := &scopeDocument{Deny: idsOf(scope.Deny, kinds)}
	for _, way := range scope.Any {
		document.Any = append(document.Any, idsOf(way, kinds))
	}
	return document
}

// scopeFor is documentFor as the database reads it.
func scopeFor(ctx context.Context, kinds ...domain.ScopeKind) ([]byte, error) {
	document := documentFor(ctx, kinds...)
	if document == nil {
		return nil, nil
	}
	text, err := json.Marshal(document)
	return text, failure.Wrap(failure.Unknown, "write a scope", err, "")
}

// idsOf brings the limits of each kind together: a resource must be in all of them.
func idsOf(limits []domain.Limit, kinds []domain.ScopeKind) map[domain.ScopeKind]map[string]bool {
	out := make(map[domain.ScopeKind]map[string]bool)
	for _, limit := range limits {
		if !slices.Contains(kinds, limit.Kind) {
			continue
		}
		ids, limited := out[limit.Kind]
		both := make(map[string]bool)
		for id := range limit.Selector.IDs {
			if !limited || ids[id] {
				both[id] = true
			}
		}
		out[limit.Kind] = both
	}
	return out
}
