package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
)

// UserFilter narrows a list of users; zero fields do not.
type UserFilter struct {
	Email string // whatever the case of the letters
}

// LockAccess makes changes of access one after the other until the transaction ends, so that each decides
// on what the one before left. Call it first.
func (q *Queries) LockAccess(ctx context.Context) error {
	return translate("lock access", q.q.LockAccess(ctx))
}

// LockConfig makes documents of the configuration applied one after the other until the transaction ends. Call it first.
func (q *Queries) LockConfig(ctx context.Context) error {
	return translate("lock the configuration", q.q.LockConfig(ctx))
}

// CreateUser stores a new user; an empty ID is made up. The owner is made by CreateOwner. Errors:
// DuplicateError.
func (q *Queries) CreateUser(ctx context.Context, u User) (User, error) {
	id, err := idOr(u.ID)
	if err != nil {
		return User{}, err
	}
	row, err := q.q.CreateUser(ctx, dbgen.CreateUserParams{ID: id, Email: u.Email, Name: u.Name, PasswordHash: u.PasswordHash, IsActive: u.IsActive})
	return User(row), translate("create user", err)
}

// Account is a user with the names of their roles, sorted.
type Account struct {
	User
	Roles []string
}

// ListUsers reads one page, newest first. Errors: ErrInvalidCursor.
func (q *Queries) ListUsers(ctx context.Context, filter UserFilter, page Page) ([]Account, string, error) {
	from, err := page.position()
	if err != nil {
		return nil, "", err
	}
	rows, err := q.q.ListUsers(ctx, dbgen.ListUsersParams{
		Email: unlessZero(cleanText(filter.Email)), BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch(),
	})
	if err != nil {
		return nil, "", translate("list users", err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.ListUsersRow) (time.Time, string) { return r.User.CreatedAt, r.User.ID })
	users, err := convert(rows, func(r dbgen.ListUsersRow) (Account, error) { return Account{User(r.User), r.Roles}, nil })
	return users, next, err
}

// UpdateUser replaces email, name and whether it is active. u.Version is the version that was read; 0
// overwrites whatever is there. Errors: ErrNotFound, ErrVersionMismatch, DuplicateError.
func (q *Queries) UpdateUser(ctx context.Context, u User) (User, error) {
	op := "update user " + u.ID
	if err := checkID(op, u.ID); err != nil {
		return User{}, err
	}
	row, err := q.q.UpdateUser(ctx, dbgen.UpdateUserParams{
		ID: u.ID, Email: u.Email, Name: u.Name, IsActive: u.IsActive, ExpectedVersion: u.Version,
	})
	return User(row), mismatchOr(translate(op, err), func() error { _, err := q.q.UserByID(ctx, u.ID); return err })
}

// SetPassword stores a password's hash. expected, when it is not nil, is the hash that must be stored
// until now. Errors: ErrNotFound, also when another hash is stored.
func (q *Queries) SetPassword(ctx context.Context, userID, hash string, expected *string) error {
	n, err := q.q.SetPasswordHash(ctx, dbgen.SetPasswordHashParams{ID: userID, PasswordHash: hash, ExpectedHash: expected})
	return oneRow("set the password of user "+userID, n, err)
}

// LockUser reads a user and keeps others from changing it until the transaction ends. Errors: ErrNotFound.
func (q *Queries) LockUser(ctx context.Context, id string) (User, error) {
	op := "lock user " + id
	if err := checkID(op, id); err != nil {
		return User{}, err
	}
	row, err := q.q.LockUser(ctx, id)
	return User(row), translate(op, err)
}

// DeleteUser deletes a user with their sessions and tokens. What they did stays in the audit trail under
// their name. Errors: ErrNotFound.
func (q *Queries) DeleteUser(ctx context.Context, id string) error {
	op := "delete user " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	n, err := q.q.DeleteUser(ctx, id)
	return oneRow(op, n, err)
}

// SetUserRoles gives a user exactly the named roles; names of no role are left out.
func (q *Queries) SetUserRoles(ctx context.Context, userID string, roles []string) error {
	op := "set the roles of user " + userID
	if err := q.q.RemoveRolesOfUser(ctx, dbgen.RemoveRolesOfUserParams{UserID: userID, Keep: orEmpty(roles)}); err != nil {
		return translate(op, err)
	}
	return translate(op, q.q.AddRolesToUser(ctx, dbgen.AddRolesToUserParams{UserID: userID, Names: orEmpty(roles)}))
}

// CountHolders is how many active users hold a permission.
func (q *Queries) CountHolders(ctx context.Context, permission string) (int64, error) {
	n, err := q.q.CountHolders(ctx, permission)
	return n, translate("count who holds "+permission, err)
}
