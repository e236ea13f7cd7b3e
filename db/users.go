package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// AdminRole is the system role that the owner gets.
const AdminRole = "admin"

// User is somebody who signs in.
type User struct {
	ID           string
	Email        string
	Name         string
	PasswordHash string // argon2id, "" cannot sign in by password; never leaves the server
	IsOwner      bool
	IsActive     bool
	LastLoginAt  *time.Time
	Version      int64
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// HasOwner reports whether the installation is set up.
func (q *Queries) HasOwner(ctx context.Context) (bool, error) {
	has, err := q.q.HasOwner(ctx)
	return has, translate("look for the owner", err)
}

// CreateOwner makes the first user, once: of several that try together one wins, the others get
// ErrSetupDone. Email, Name and PasswordHash are taken from u. The owner gets the role admin,
// which SeedAccess must have made.
func (q *Queries) CreateOwner(ctx context.Context, u User) (User, error) {
	const op = "create the owner"
	id, err := idOr(u.ID)
	if err != nil {
		return User{}, err
	}
	var owner User
	err = q.inTx(ctx, func(q *Queries) error {
		if err := q.q.LockAccess(ctx); err != nil {
			return translate(op, err)
		}
		if has, err := q.q.HasOwner(ctx); err != nil {
			return translate(op, err)
		} else if has {
			return failure.Wrap(failure.ConfigInvalid, op, ErrSetupDone, "Sign in as the owner.")
		}
		row, err := q.q.CreateUser(ctx, dbgen.CreateUserParams{ID: id, Email: u.Email, Name: u.Name, PasswordHash: u.PasswordHash, IsOwner: true, IsActive: true})
		if err != nil {
			return translate(op, err)
		}
		granted, err := q.q.GrantRole(ctx, dbgen.GrantRoleParams{UserID: id, Role: AdminRole})
		if err == nil && granted == 0 {
			return failure.New(failure.Unknown, op, "there is no role "+AdminRole, "The roles are seeded when the API starts.")
		}
		owner = User(row)
		return translate(op, err)
	})
	return owner, err
}

// UserByEmail finds a user, whatever the case of the letters. Errors: ErrNotFound.
func (q *Queries) UserByEmail(ctx context.Context, email string) (User, error) {
	row, err := q.q.UserByEmail(ctx, email)
	return User(row), translate("read a user by email", err)
}

// UserByID finds a user. Errors: ErrNotFound.
func (q *Queries) UserByID(ctx context.Context, id string) (User, error) {
	op := "read user " + id
	if err := checkID(op, id); err != nil {
		return User{}, err
	}
	row, err := q.q.UserByID(ctx, id)
	return User(row), translate(op, err)
}

// UserRoles lists the names of a user's roles, sorted.
func (q *Queries) UserRoles(ctx context.Context, userID string) ([]string, error) {
	roles, err := q.q.UserRoles(ctx, userID)
	return roles, translate("read the roles of user "+userID, err)
}

// UserPermissions lists what a user may do, by all of their roles together, sorted.
func (q *Queries) UserPermissions(ctx context.Context, userID string) ([]string, error) {
	permissions, err := q.q.UserPermissions(ctx, userID)
	return permissions, translate("read the permissions of user "+userID, err)
}

// SetLastLogin notes that the user signed in just now.
func (q *Queries) SetLastLogin(ctx context.Context, userID string) error {
	return translate("note the sign-in of user "+userID, q.q.SetLastLogin(ctx, userID))
}

// SeedAccess makes the system roles and their permissions exactly as given (role name to
// permission names). Roles that people made are left alone. Any number of processes may call it.
func (q *Queries) SeedAccess(ctx context.Context, roles map[string][]string) error {
	const op = "seed roles and permissions"
	return q.inTx(ctx, func(q *Queries) error {
		if err := q.q.LockAccess(ctx); err != nil {
			return translate(op, err)
		}
		for role, permissions := range roles {
			if err := q.seedRole(ctx, role, orEmpty(permissions)); err != nil {
				return translate(op, err)
			}
		}
		return nil
	})
}

func (q *Queries) seedRole(ctx context.Context, role string, permissions []string) error {
	id, err := newID()
	if err != nil {
		return err
	}
	roleID, err := q.q.UpsertSystemRole(ctx, dbgen.UpsertSystemRoleParams{ID: id, Name: role})
	if err != nil {
		return err
	}
	for _, permission := range permissions {
		if id, err = newID(); err != nil {
			return err
		}
		if err := q.q.AddPermission(ctx, dbgen.AddPermissionParams{ID: id, Name: permission}); err != nil {
			return err
		}
	}
	if err := q.q.RemovePermissionsOfRole(ctx, dbgen.RemovePermissionsOfRoleParams{RoleID: roleID, Keep: permissions}); err != nil {
		return err
	}
	return q.q.AddPermissionsToRole(ctx, dbgen.AddPermissionsToRoleParams{RoleID: roleID, Names: permissions})
}
