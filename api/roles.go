package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// RoleDocument is what a client writes of a role.
type RoleDocument struct {
	Name        string            `json:"name" doc:"Unique, whatever the case of the letters" maxLength:"200"`
	Description string            `json:"description,omitempty" maxLength:"1000"`
	Permissions []auth.Permission `json:"permissions,omitempty" maxItems:"100" doc:"What it grants; GET /api/access/permissions lists all there are"`
}

// Role is a named set of permissions as clients see it.
type Role struct {
	ID          string            `json:"id" format:"uuid"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	System      bool              `json:"system" doc:"It comes with the program and is never changed"`
	Permissions []auth.Permission `json:"permissions" nullable:"false"`
	Version     int64             `json:"version"`
	CreatedAt   time.Time         `json:"created_at"`
	UpdatedAt   time.Time         `json:"updated_at"`
}

// PermissionInfo is one permission.
type PermissionInfo struct {
	Name        auth.Permission `json:"name"`
	Description string          `json:"description"`
}

const rolesPath = "/api/access/roles"

func (s *server) registerRoles() {
	tags, manage := []string{"Access"}, requires(auth.AccessManage)
	changes := []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed}
	register(s, manage, huma.Operation{
		OperationID: "list-permissions", Method: http.MethodGet, Path: "/api/access/permissions", Tags: tags,
		Summary: "List the permissions there are",
	}, s.listPermissions)
	register(s, manage, huma.Operation{
		OperationID: "list-roles", Method: http.MethodGet, Path: rolesPath, Tags: tags, Summary: "List roles",
	}, s.listRoles)
	register(s, manage, huma.Operation{
		OperationID: "create-role", Method: http.MethodPost, Path: rolesPath, Tags: tags, Summary: "Create a role",
		Description:   "Nobody grants what they do not hold themselves (403).",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict},
	}, s.createRole)
	register(s, manage, huma.Operation{
		OperationID: "get-role", Method: http.MethodGet, Path: rolesPath + "/{id}", Tags: tags, Summary: "Get a role", Errors: []int{http.StatusNotFound},
	}, s.getRole)
	register(s, manage, huma.Operation{
		OperationID: "update-role", Method: http.MethodPatch, Path: rolesPath + "/{id}", Tags: tags, Summary: "Change a role",
		Description: "Of everybody who has it, at once. A role of the system is never changed (409).", Errors: changes,
	}, s.updateRole)
	register(s, manage, huma.Operation{
		OperationID: "delete-role", Method: http.MethodDelete, Path: rolesPath + "/{id}", Tags: tags, Summary: "Delete a role",
		Description:   "One that somebody has is not deleted: 409 names them.",
		DefaultStatus: http.StatusNoContent, Errors: changes,
	}, s.deleteRole)
	register(s, manage, huma.Operation{
		OperationID: "list-role-permissions", Method: http.MethodGet, Path: rolesPath + "/{id}/permissions", Tags: tags, Summary: "Permissions of a role",
		Errors: []int{http.StatusNotFound},
	}, s.listRolePermissions)
	register(s, manage, huma.Operation{
		OperationID: "set-role-permissions", Method: http.MethodPut, Path: rolesPath + "/{id}/permissions", Tags: tags,
		Summary: "Give a role exactly these permissions", Errors: changes,
	}, s.setRolePermissions)
}

func (s *server) listPermissions(context.Context, *empty) (*body[list[PermissionInfo]], error) {
	return describePermissions(auth.Permissions()), nil
}

func (s *server) listRolePermissions(ctx context.Context, in *ByID) (*body[list[PermissionInfo]], error) {
	row, err := s.db.GetRole(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "role", in.ID)
	}
	return describePermissions(auth.NewGrants(row.Permissions).List()), nil
}

func describePermissions(permissions []auth.Permission) *body[list[PermissionInfo]] {
	items := make([]PermissionInfo, len(permissions))
	for i, p := range permissions {
		items[i] = PermissionInfo{Name: p, Description: auth.Describe(p)}
	}
	return &body[list[PermissionInfo]]{list[PermissionInfo]{items}}
}

func (s *server) listRoles(ctx context.Context, in *Paging) (*body[page[Role]], error) {
	rows, next, err := s.db.ListRoles(ctx, in.page())
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, viewRole), nil
}

func (s *server) getRole(ctx context.Context, in *ByID) (*versioned[Role], error) {
	row, err := s.db.GetRole(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "role", in.ID)
	}
	return &versioned[Role]{etag(row.Version), viewRole(row)}, nil
}

// fill checks the document and writes it into row.
func (d RoleDocument) fill(row *db.Role) domain.Invalid {
	var v domain.Invalid
	domain.CheckName(&v, d.Name)
	if len(d.Description) > 1000 || strings.ContainsFunc(d.Description, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
		v.Add("description", "must be text of at most 1,000 bytes without control characters")
	}
	row.Permissions = nil
	for _, p := range d.Permissions {
		if !auth.Known(p) {
			v.Add("permissions", "has %q, which is no permission; GET /api/access/permissions lists all there are", string(p))
			break
		}
		row.Permissions = append(row.Permissions, string(p))
	}
	slices.Sort(row.Permissions)
	row.Permissions = slices.Compact(row.Permissions)
	row.Name, row.Description = strings.TrimSpace(d.Name), strings.TrimSpace(d.Description)
	return v
}

func documentOfRole(row db.Role) RoleDocument {
	return RoleDocument{Name: row.Name, Description: row.Description, Permissions: auth.NewGrants(row.Permissions).List()}
}

func viewRole(row db.Role) Role {
	return Role{
		ID: row.ID, Name: row.Name, Description: row.Description, System: row.IsSystem, Permissions: auth.NewGrants(row.Permissions).List(),
		Version: row.Version, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}
}

func roleOf(row db.Role) *auth.Role {
	return &auth.Role{System: row.IsSystem, Grants: auth.NewGrants(row.Permissions)}
}
