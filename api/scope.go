package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// enforcing names the operations that somebody whose permission is limited to some resources may call, with
// the kinds of limits that they enforce: by reading what they show and change through package db under the
// caller's scope, where nothing else is found. Whoever is limited in another way, or calls what is not named
// here, is refused: an operation that knows nothing of scopes must not be a way around them.
var enforcing = map[string][]domain.ScopeKind{
	"list-datasources": everyKind, "create-datasource": everyKind, "get-datasource": everyKind, "update-datasource": everyKind,
	"delete-datasource": everyKind, "test-datasource": everyKind, "get-datasource-schema": everyKind, "query-datasource": everyKind,

	"list-storage-locations": everyKind, "create-storage-location": everyKind, "get-storage-location": everyKind,
	"update-storage-location": everyKind, "delete-storage-location": everyKind, "test-storage-location": everyKind,
	"test-storage-location-draft": everyKind,
	// What lies on a storage location is of every datasource that is backed up there.
	"list-storage-files": storageOnly, "get-storage-usage": storageOnly, "copy-storage-file": storageOnly, "delete-storage-files": storageOnly,
	"download-storage-file": storageOnly, "list-damage": storageOnly, "import-storage-location": storageOnly,
	"get-storage-location-import": storageOnly, "reconcile-storage-location": storageOnly,

	"list-backup-jobs": everyKind, "create-backup-job": everyKind, "get-backup-job": everyKind, "update-backup-job": everyKind,
	"delete-backup-job": everyKind, "test-backup-job": everyKind, "run-backup-job": everyKind,
	"preview-retention": everyKind, "preview-schedule": everyKind,

	"list-datasource-health": everyKind, "list-datasource-checks": everyKind, "list-storage-health": everyKind, "list-storage-checks": everyKind,

	"list-executions": everyKind, "get-execution": everyKind, "list-execution-logs": everyKind, "list-execution-chunks": everyKind,
	"follow-execution": everyKind, "cancel-execution": everyKind, "delete-execution": everyKind, "pin-execution": everyKind,
	"follow-executions": everyKind, "retry-execution": everyKind, "retry-upload": everyKind, "verify-execution": everyKind, "get-verification": everyKind,

	"list-backed-up-datasources": everyKind, "list-backups": everyKind, "list-restore-targets": everyKind, "restore-backup": everyKind,
	downloadBackup: everyKind, "list-backup-files": everyKind,

	// A sync or a drill belongs to both its datasources; its runs to those as well.
	"list-sync-jobs": everyKind, "create-sync-job": everyKind, "get-sync-job": everyKind, "update-sync-job": everyKind, "delete-sync-job": everyKind,
	"run-sync-job": everyKind, "retry-sync-execution": everyKind, "list-sync-executions": everyKind, "get-sync-execution": everyKind,
	"list-sync-execution-logs": everyKind, "cancel-sync-execution": everyKind, "follow-sync-execution": everyKind,
	"list-drill-jobs": everyKind, "create-drill-job": everyKind, "get-drill-job": everyKind, "update-drill-job": everyKind, "delete-drill-job": everyKind,
	"run-drill-job": everyKind, "list-drill-times": everyKind, "list-drill-executions": everyKind, "get-drill-execution": everyKind,
	"list-drill-execution-logs": everyKind, "cancel-drill-execution": everyKind, "follow-drill-execution": everyKind,

	// They count what their caller sees.
	"get-dashboard": everyKind, "get-health": everyKind,

	"list-notifications": everyKind, "count-unread-notifications": everyKind, "get-notification": everyKind, "read-notification": everyKind,
	"read-all-notifications": everyKind, "delete-notification": everyKind, "follow-notifications": everyKind,

	// Their own; who is limited decides on nobody else's.
	"list-approvals": everyKind, "get-approval": everyKind, "withdraw-approval": everyKind,
}

var (
	everyKind   = domain.ScopeKinds()
	storageOnly = []domain.ScopeKind{domain.ScopeStorageLocation}
)

// actingUnder names the operations that do what other permissions are for, all over the installation: they are
// refused to whoever is limited in one of those.
var actingUnder = map[string][]auth.Permission{
	"export-config": {auth.DatasourcesRead, auth.StorageRead, auth.BackupJobsRead},
	"apply-config":  {auth.DatasourcesWrite, auth.StorageWrite, auth.BackupJobsWrite, auth.DatasourcesQuery},
}

// limitedTo is ctx with what the permission by which its caller was let in is limited to. Of several
// permissions that each let them in, one without limits is taken, else the first. Errors: a problem where the
// operation does not enforce such limits.
func (s *server) limitedTo(ctx context.Context, operation string, anyOf []auth.Permission) (context.Context, error) {
	who := principalOf(ctx)
	if who.held == nil {
		return ctx, nil
	}
	for _, p := range actingUnder[operation] {
		if who.Grants.Allows(p) && who.held.Scope(p) != nil {
			return ctx, s.refuseBeyond(ctx, operation, p)
		}
	}
	var chosen auth.Permission
	var scope *domain.Scope
	for _, p := range anyOf {
		if !who.Grants.Allows(p) {
			continue
		}
		limits := who.held.Scope(p)
		if limits == nil {
			return ctx, nil
		}
		if scope == nil {
			chosen, scope = p, limits
		}
	}
	if scope == nil {
		return ctx, nil // it asks for no permission
	}
	kinds, known := enforcing[operation]
	if !known || !scope.Only(kinds...) {
		return ctx, s.refuseBeyond(ctx, operation, chosen)
	}
	return under(ctx, s.db.Within(ctx), scope)
}

func (s *server) refuseBeyond(ctx context.Context, operation string, p auth.Permission) error {
	return s.refuseFor(ctx, operation,
		fmt.Sprintf("Your permission %s is limited to some resources, and this is about more than those.", p), http.StatusForbidden)
}

// narrowedTo is ctx with what this one permission is limited to, for an operation that decides by its request
// which permission it needs.
func (s *server) narrowedTo(ctx context.Context, p auth.Permission) (context.Context, error) {
	who := principalOf(ctx)
	if who.held == nil {
		return ctx, nil
	}
	return under(ctx, s.db.Within(ctx), who.held.Scope(p))
}

// under looks tags up with q: that of the transaction where there is one, for another connection may not be
// free before this one is given back.
func under(ctx context.Context, q *db.Queries, scope *domain.Scope) (context.Context, error) {
	if err := q.ResolveScope(ctx, scope); err != nil {
		return ctx, err
	}
	return db.WithScope(ctx, scope), nil
}

// mayOn reports whether the caller holds a permission for this datasource. It reads with q, that of the
// transaction where there is one.
func mayOn(ctx context.Context, q *db.Queries, p auth.Permission, datasourceID string) (bool, error) {
	who := principalOf(ctx)
	if !who.Grants.Allows(p) || who.held == nil {
		return who.Grants.Allows(p), nil
	}
	narrow, err := under(ctx, q, who.held.Scope(p))
	if err != nil {
		return false, err
	}
	return q.Sees(narrow, domain.ScopeDatasource, datasourceID), nil
}

// keepTags refuses a change of tags to somebody who is limited by tags: with a tag they could bring the
// resource under another permission of theirs, or out of what is denied to them.
func (s *server) keepTags(ctx context.Context, operation string, before, after []string) error {
	who := principalOf(ctx)
	if who.held == nil || !who.held.ByTag() || slices.Equal(domain.NormalizeTags(before), domain.NormalizeTags(after)) {
		return nil
	}
	return s.refuseFor(ctx, operation, "You are limited by tags, so you can not change those of a resource.", http.StatusForbidden)
}

// heldBy reads what limits a user as of now, nil for nothing. The owner is never limited.
func heldBy(ctx context.Context, q *db.Queries, user db.User) (*auth.Held, error) {
	if user.IsOwner {
		return nil, nil
	}
	limits, err := q.LimitsOfUser(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	return heldWithin(&limits), nil
}

// heldWithin is what a user holds within limits.
func heldWithin(limits *db.Limits) *auth.Held {
	if limits == nil {
		return nil
	}
	held := &auth.Held{Roles: make(map[string]auth.Grants)}
	for id, permissions := range limits.Grants {
		held.Roles[id] = auth.NewGrants(permissions)
	}
	for _, rule := range limits.Rules {
		held.Rules = append(held.Rules, ruleOf(rule))
	}
	return held
}

func ruleOf(row db.ScopeRule) auth.ScopeRule {
	rule := auth.ScopeRule{Permission: row.Permission, Deny: row.Effect == effectDeny, Kind: domain.ScopeKind(row.Resource)}
	if row.RoleID != nil {
		rule.RoleID = *row.RoleID
	}
	if row.ResourceID != nil {
		rule.ResourceID = *row.ResourceID
	}
	if row.Tag != nil {
		rule.Tag = *row.Tag
	}
	return rule
}
