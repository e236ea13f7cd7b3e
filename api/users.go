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

// AccountDocument is what a client writes of a user.
type AccountDocument struct {
	Email    string   `json:"email" maxLength:"254" doc:"What the user signs in with; unique, whatever the case of the letters"`
	Name     string   `json:"name,omitempty" maxLength:"200"`
	Password string   `json:"password,omitempty" maxLength:"4096" doc:"Never shown. Without one the user can not sign in by password; giving one to a user ends their sessions. Your own is changed at POST /api/auth/password"`
	Active   *bool    `json:"is_active,omitempty" doc:"Default true; a user who is not active can not sign in, and their sessions end at once"`
	Roles    []string `json:"roles,omitempty" maxItems:"100" doc:"Names of roles; none lets the user see nothing"`
}

// Account is a user as who manages access sees it.
type Account struct {
	ID          string     `json:"id" format:"uuid"`
	Email       string     `json:"email"`
	Name        string     `json:"name"`
	Owner       bool       `json:"owner" doc:"The account that set the installation up: never deleted, deactivated or without the role admin"`
	Active      bool       `json:"is_active"`
	HasPassword bool       `json:"has_password" doc:"It can sign in by password"`
	Roles       []string   `json:"roles" nullable:"false"`
	LastLoginAt *time.Time `json:"last_login_at"`
	Version     int64      `json:"version"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

const usersPath = "/api/access/users"

func (s *server) registerUsers() {
	tags, manage := []string{"Access"}, requires(auth.AccessManage)
	changes := []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed}
	register(s, manage, huma.Operation{
		OperationID: "list-users", Method: http.MethodGet, Path: usersPath, Tags: tags, Summary: "List users",
	}, s.listUsers)
	register(s, manage, huma.Operation{
		OperationID: "create-user", Method: http.MethodPost, Path: usersPath, Tags: tags, Summary: "Create a user",
		Description:   "Nobody grants what they do not hold themselves (403).",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict},
	}, s.createUser)
	register(s, manage, huma.Operation{
		OperationID: "get-user", Method: http.MethodGet, Path: usersPath + "/{id}", Tags: tags, Summary: "Get a user", Errors: []int{http.StatusNotFound},
	}, s.getUser)
	register(s, manage, huma.Operation{
		OperationID: "update-user", Method: http.MethodPatch, Path: usersPath + "/{id}", Tags: tags, Summary: "Change a user",
		Description: "403: the user may do what you may not, or would. 409: it would lock the owner, yourself or everybody out. A new password, and deactivation, end the user's sessions at once.",
		Errors:      changes,
	}, s.updateUser)
	register(s, manage, huma.Operation{
		OperationID: "delete-user", Method: http.MethodDelete, Path: usersPath + "/{id}", Tags: tags, Summary: "Delete a user",
		Description:   "With their sessions and API tokens; what they did stays in the audit trail under their name.",
		DefaultStatus: http.StatusNoContent, Errors: changes,
	}, s.deleteUser)
	register(s, manage, huma.Operation{
		OperationID: "list-user-roles", Method: http.MethodGet, Path: usersPath + "/{id}/roles", Tags: tags, Summary: "Roles of a user",
		Errors: []int{http.StatusNotFound},
	}, s.listUserRoles)
	register(s, manage, huma.Operation{
		OperationID: "set-user-roles", Method: http.MethodPut, Path: usersPath + "/{id}/roles", Tags: tags, Summary: "Give a user exactly these roles",
		Errors: changes,
	}, s.setUserRoles)
}

type listUsersInput struct {
	Paging
	Email string `query:"email" maxLength:"254" doc:"Only the user with this email"`
}

func (s *server) listUsers(ctx context.Context, in *listUsersInput) (*body[page[Account]], error) {
	rows, next, err := s.db.ListUsers(ctx, db.UserFilter{Email: strings.TrimSpace(in.Email)}, in.page())
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, func(row db.Account) Account { return viewAccount(row.User, row.Roles) }), nil
}

func (s *server) getUser(ctx context.Context, in *ByID) (*versioned[Account], error) {
	row, err := s.db.UserByID(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "user", in.ID)
	}
	roles, err := s.db.UserRoles(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &versioned[Account]{etag(row.Version), viewAccount(row, roles)}, nil
}

func (s *server) listUserRoles(ctx context.Context, in *ByID) (*body[list[Role]], error) {
	if _, err := s.db.UserByID(ctx, in.ID); err != nil {
		return nil, missing(err, "user", in.ID)
	}
	names, err := s.db.UserRoles(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.RolesByName(ctx, names)
	if err != nil {
		return nil, err
	}
	items := make([]Role, len(rows))
	for i, row := range rows {
		items[i] = viewRole(row)
	}
	return &body[list[Role]]{list[Role]{items}}, nil
}

// check finds what is wrong with the document, but for its roles.
func (d AccountDocument) check() domain.Invalid {
	v := auth.CheckEmail("email", strings.TrimSpace(d.Email))
	v = append(v, auth.CheckDisplayName("name", d.Name)...)
	if d.Password != "" {
		v = append(v, auth.CheckPassword("password", d.Password)...)
	}
	return v
}

// fill writes the document into row, but for its password and roles.
func (d AccountDocument) fill(row *db.User) {
	row.Email, row.Name = strings.TrimSpace(d.Email), strings.TrimSpace(d.Name)
	row.IsActive = d.Active == nil || *d.Active
}

func documentOfAccount(row db.User, roles []string) AccountDocument {
	return AccountDocument{Email: row.Email, Name: row.Name, Active: &row.IsActive, Roles: roles}
}

func viewAccount(row db.User, roles []string) Account {
	if roles == nil {
		roles = []string{}
	}
	return Account{
		ID: row.ID, Email: row.Email, Name: row.Name, Owner: row.IsOwner, Active: row.IsActive, HasPassword: row.PasswordHash != "",
		Roles: roles, LastLoginAt: row.LastLoginAt, Version: row.Version, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}
}

// named finds roles by name and what they grant together. Errors: domain.Invalid for a name of no role.
func named(ctx context.Context, q *db.Queries, names []string) ([]string, auth.Grants, error) {
	rows, err := q.RolesByName(ctx, names)
	if err != nil {
		return nil, nil, err
	}
	var found, permissions []string
	for _, row := range rows {
		found = append(found, row.Name)
		permissions = append(permissions, row.Permissions...)
	}
	for _, name := range names {
		if !slices.ContainsFunc(found, func(have string) bool { return strings.EqualFold(have, name) }) {
			return nil, nil, invalidField("roles", "has %q, and there is no role of that name", name)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), auth.NewGrants(permissions), nil
}
