package api

import (
	"context"
	"net/http"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

func (s *server) createUser(ctx context.Context, in *body[AccountDocument]) (*created[Account], error) {
	if err := in.Body.check().OrNil(); err != nil {
		return nil, err
	}
	hash, err := s.hashed(ctx, in.Body.Password)
	if err != nil {
		return nil, err
	}
	var view Account
	err = s.changeAccess(ctx, "create-user", func(q *db.Queries, actor auth.Actor) error {
		roles, grants, err := named(ctx, q, in.Body.Roles)
		if err != nil {
			return err
		}
		row := db.User{PasswordHash: hash}
		in.Body.fill(&row)
		if err := auth.CheckAccountChange(actor, nil, &auth.Account{Active: row.IsActive, Roles: roles, Grants: grants}); err != nil {
			return err
		}
		if row, err = q.CreateUser(ctx, row); err != nil {
			return err
		}
		if err := q.SetUserRoles(ctx, row.ID, roles); err != nil {
			return err
		}
		view = viewAccount(row, roles)
		return q.AddAudit(ctx, audited(ctx, "user.create", "user", row.ID, map[string]any{"after": view}))
	})
	if err != nil {
		return nil, err
	}
	return &created[Account]{usersPath + "/" + view.ID, etag(view.Version), view}, nil
}

func (s *server) updateUser(ctx context.Context, in *patchOf[AccountDocument]) (*versioned[Account], error) {
	var sent AccountDocument // what of the document is sent: hashing is slow, and waits outside the transaction
	if err := in.Body.ApplyTo(&sent); err != nil {
		return nil, err
	}
	if sent.Password != "" {
		if err := auth.CheckPassword("password", sent.Password).OrNil(); err != nil {
			return nil, err
		}
		if in.ID == principalOf(ctx).User.ID {
			return nil, invalidField("password", "is your own; change it at POST /api/auth/password, which asks for the one you have")
		}
	}
	hash, err := s.hashed(ctx, sent.Password)
	if err != nil {
		return nil, err
	}
	return s.changeUser(ctx, userChange{operation: "update-user", id: in.ID, ifMatch: in.IfMatch, apply: in.Body.ApplyTo, passwordHash: hash})
}

type setRolesInput struct {
	ID      string `path:"id" format:"uuid" doc:"Its id"`
	IfMatch string `header:"If-Match" maxLength:"128" doc:"ETag of the answer that the change starts from; another version is 412"`
	Body    struct {
		Roles []string `json:"roles" maxItems:"100" nullable:"false" doc:"Names of roles"`
	}
}

func (s *server) setUserRoles(ctx context.Context, in *setRolesInput) (*versioned[Account], error) {
	return s.changeUser(ctx, userChange{operation: "set-user-roles", id: in.ID, ifMatch: in.IfMatch, apply: func(d *AccountDocument) error {
		d.Roles = in.Body.Roles
		return nil
	}})
}

// userChange is one change of a user.
type userChange struct {
	operation    string
	id           string
	ifMatch      string
	apply        func(*AccountDocument) error
	passwordHash string // "" keeps the password
}

func (s *server) changeUser(ctx context.Context, c userChange) (*versioned[Account], error) {
	wanted, err := ifMatch(c.ifMatch)
	if err != nil {
		return nil, err
	}
	var view Account
	err = s.changeAccess(ctx, c.operation, func(q *db.Queries, actor auth.Actor) error {
		row, before, err := lockedAccount(ctx, q, c.id)
		if err != nil {
			return err
		}
		if err := checkVersion(wanted, row.Version); err != nil {
			return err
		}
		was := viewAccount(row, before.Roles)
		document := documentOfAccount(row, before.Roles)
		if err := c.apply(&document); err != nil {
			return err
		}
		if err := document.check().OrNil(); err != nil {
			return err
		}
		document.fill(&row)
		after := before
		after.Active = row.IsActive
		if after.Roles, after.Grants, err = named(ctx, q, document.Roles); err != nil {
			return err
		}
		if err := auth.CheckAccountChange(actor, &before, &after); err != nil {
			return err
		}
		if row, err = s.storeUser(ctx, q, row, after.Roles, c.passwordHash); err != nil {
			return err
		}
		view = viewAccount(row, after.Roles)
		var secrets []string
		if c.passwordHash != "" {
			secrets = []string{"password"}
		}
		changes, err := changed(was, view, secrets...)
		if err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "user.update", "user", row.ID, changes))
	})
	if err != nil {
		return nil, err
	}
	return &versioned[Account]{etag(view.Version), view}, nil
}

// storeUser writes a locked user. A new password, and deactivation, end the sessions in the same
// transaction. Whom a provider speaks for gets no password: it would outlive what the provider takes away, and
// whoever sets it would be them.
func (s *server) storeUser(ctx context.Context, q *db.Queries, row db.User, roles []string, passwordHash string) (db.User, error) {
	row.Version = 0 // it is locked, and its version was looked at
	if passwordHash != "" {
		linked, err := q.Linked(ctx, row.ID)
		if err != nil {
			return row, err
		}
		if linked {
			return row, problem.New(http.StatusConflict, "The account signs in through the OpenID Connect provider, so it has no password here. "+
				"Make another account; or, on the machine, dataguardian user reset-password takes it from the provider.")
		}
		if err := q.SetPassword(ctx, row.ID, passwordHash, nil); err != nil {
			return row, err
		}
	}
	if err := q.SetUserRoles(ctx, row.ID, roles); err != nil {
		return row, err
	}
	if passwordHash != "" || !row.IsActive {
		if _, err := q.DeleteSessions(ctx, row.ID, ""); err != nil {
			return row, err
		}
	}
	return q.UpdateUser(ctx, row)
}

func (s *server) deleteUser(ctx context.Context, in *DeleteInput) (*empty, error) {
	wanted, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	return nil, s.changeAccess(ctx, "delete-user", func(q *db.Queries, actor auth.Actor) error {
		row, before, err := lockedAccount(ctx, q, in.ID)
		if err != nil {
			return err
		}
		if err := checkVersion(wanted, row.Version); err != nil {
			return err
		}
		if err := auth.CheckAccountChange(actor, &before, nil); err != nil {
			return err
		}
		if err := q.DeleteUser(ctx, in.ID); err != nil {
			return missing(err, "user", in.ID)
		}
		return q.AddAudit(ctx, audited(ctx, "user.delete", "user", row.ID, map[string]any{"before": viewAccount(row, before.Roles)}))
	})
}

// lockedAccount reads a user with what decides on changing them.
func lockedAccount(ctx context.Context, q *db.Queries, id string) (db.User, auth.Account, error) {
	row, err := q.LockUser(ctx, id)
	if err != nil {
		return row, auth.Account{}, missing(err, "user", id)
	}
	roles, err := q.UserRoles(ctx, id)
	if err != nil {
		return row, auth.Account{}, err
	}
	permissions, err := q.UserPermissions(ctx, id)
	account := auth.Account{ID: row.ID, Owner: row.IsOwner, Active: row.IsActive, Roles: roles, Grants: auth.NewGrants(permissions)}
	return row, account, err
}

// hashed is the hash of a password, "" for none.
func (s *server) hashed(ctx context.Context, password string) (string, error) {
	if password == "" {
		return "", nil
	}
	return s.passwords.Hash(ctx, password)
}
