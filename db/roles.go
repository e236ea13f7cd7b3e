package db

import (
	"context"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
)

// Role is a named set of permissions.
type Role struct {
	ID          string
	Name        string
	Description string
	IsSystem    bool
	Permissions []string // sorted
	Version     int64
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// CreateRole stores a new role with its permissions. Errors: DuplicateError.
func (q *Queries) CreateRole(ctx context.Context, r Role) (Role, error) {
	const op = "create role"
	id, err := idOr(r.ID)
	if err != nil {
		return Role{}, err
	}
	var out Role
	err = q.inTx(ctx, func(q *Queries) error {
		row, err := q.q.CreateRole(ctx, dbgen.CreateRoleParams{ID: id, Name: r.Name, Description: r.Description})
		if err != nil {
			return translate(op, err)
		}
		out = role(row, r.Permissions)
		return translate(op, q.setPermissions(ctx, id, r.Permissions))
	})
	return out, err
}

// GetRole reads one. Errors: ErrNotFound.
func (q *Queries) GetRole(ctx context.Context, id string) (Role, error) {
	op := "read role " + id
	if err := checkID(op, id); err != nil {
		return Role{}, err
	}
	row, err := q.q.GetRole(ctx, id)
	if err != nil {
		return Role{}, translate(op, err)
	}
	roles, err := q.withPermissions(ctx, []dbgen.Role{row})
	if err != nil {
		return Role{}, err
	}
	return roles[0], nil
}

// ListRoles reads one page, newest first. Errors: ErrInvalidCursor.
func (q *Queries) ListRoles(ctx context.Context, page Page) ([]Role, string, error) {
	from, err := page.position()
	if err != nil {
		return nil, "", err
	}
	rows, err := q.q.ListRoles(ctx, dbgen.ListRolesParams{BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch()})
	if err != nil {
		return nil, "", translate("list roles", err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.Role) (time.Time, string) { return r.CreatedAt, r.ID })
	roles, err := q.withPermissions(ctx, rows)
	return roles, next, err
}

// RolesByName finds roles by their names, whatever the case of the letters. Names of no role are left out.
func (q *Queries) RolesByName(ctx context.Context, names []string) ([]Role, error) {
	lower := make([]string, len(names))
	for i, name := range names {
		lower[i] = strings.ToLower(cleanText(name))
	}
	rows, err := q.q.RolesByName(ctx, lower)
	if err != nil {
		return nil, translate("read roles by name", err)
	}
	return convert(rows, func(r dbgen.RolesByNameRow) (Role, error) {
		return Role{
			ID: r.ID, Name: r.Name, Description: r.Description, IsSystem: r.IsSystem, Permissions: r.Permissions,
			Version: r.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
		}, nil
	})
}

// UpdateRole replaces a role that is no system role. r.Version is the version that was read; 0 overwrites
// whatever is there. Errors: ErrNotFound, ErrVersionMismatch, DuplicateError.
func (q *Queries) UpdateRole(ctx context.Context, r Role) (Role, error) {
	op := "update role " + r.ID
	if err := checkID(op, r.ID); err != nil {
		return Role{}, err
	}
	var out Role
	err := q.inTx(ctx, func(q *Queries) error {
		row, err := q.q.UpdateRole(ctx, dbgen.UpdateRoleParams{ID: r.ID, Name: r.Name, Description: r.Description, ExpectedVersion: r.Version})
		if err != nil {
			return mismatchOr(translate(op, err), func() error { _, err := q.q.GetRole(ctx, r.ID); return err })
		}
		out = role(row, r.Permissions)
		return translate(op, q.setPermissions(ctx, r.ID, r.Permissions))
	})
	return out, err
}

// DeleteRole deletes a role that is no system role. Errors: ErrNotFound; InUseError while somebody has it.
func (q *Queries) DeleteRole(ctx context.Context, id string) error {
	op := "delete role " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	holders, err := q.q.RoleHolders(ctx, dbgen.RoleHoldersParams{RoleID: id, MaxHolders: maxHolders})
	if err := refuseHeld(op, holders, err); err != nil {
		return err
	}
	n, err := q.q.DeleteRole(ctx, id)
	return oneRow(op, n, err)
}

// setPermissions gives a role exactly the named permissions, which SeedAccess made.
func (q *Queries) setPermissions(ctx context.Context, roleID string, names []string) error {
	if err := q.q.RemovePermissionsOfRole(ctx, dbgen.RemovePermissionsOfRoleParams{RoleID: roleID, Keep: orEmpty(names)}); err != nil {
		return err
	}
	return q.q.AddPermissionsToRole(ctx, dbgen.AddPermissionsToRoleParams{RoleID: roleID, Names: orEmpty(names)})
}

func (q *Queries) withPermissions(ctx context.Context, rows []dbgen.Role) ([]Role, error) {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	granted, err := q.q.PermissionsOfRoles(ctx, ids)
	if err != nil {
		return nil, translate("read the permissions of roles", err)
	}
	permissions := make(map[string][]string)
	for _, row := range granted {
		permissions[row.RoleID] = append(permissions[row.RoleID], row.Name)
	}
	return convert(rows, func(row dbgen.Role) (Role, error) { return role(row, permissions[row.ID]), nil })
}

func role(row dbgen.Role, permissions []string) Role {
	return Role{
		ID: row.ID, Name: row.Name, Description: row.Description, IsSystem: row.IsSystem, Permissions: orEmpty(permissions),
		Version: row.Version, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}
}
