package api

import (
	"context"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

func (s *server) createRole(ctx context.Context, in *body[RoleDocument]) (*created[Role], error) {
	var row db.Role
	if err := in.Body.fill(&row).OrNil(); err != nil {
		return nil, err
	}
	err := s.changeAccess(ctx, "create-role", func(q *db.Queries, actor auth.Actor) (err error) {
		if err := auth.CheckRoleChange(actor, nil, roleOf(row)); err != nil {
			return err
		}
		if row, err = q.CreateRole(ctx, row); err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "role.create", "role", row.ID, map[string]any{"after": viewRole(row)}))
	})
	if err != nil {
		return nil, err
	}
	return &created[Role]{rolesPath + "/" + row.ID, etag(row.Version), viewRole(row)}, nil
}

func (s *server) updateRole(ctx context.Context, in *patchOf[RoleDocument]) (*versioned[Role], error) {
	return s.changeRole(ctx, "update-role", in.ID, in.IfMatch, in.Body.ApplyTo)
}

type setPermissionsInput struct {
	ID      string `path:"id" format:"uuid" doc:"Its id"`
	IfMatch string `header:"If-Match" maxLength:"128" doc:"ETag of the answer that the change starts from; another version is 412"`
	Body    struct {
		Permissions []auth.Permission `json:"permissions" maxItems:"100" nullable:"false"`
	}
}

func (s *server) setRolePermissions(ctx context.Context, in *setPermissionsInput) (*versioned[Role], error) {
	return s.changeRole(ctx, "set-role-permissions", in.ID, in.IfMatch, func(d *RoleDocument) error {
		d.Permissions = in.Body.Permissions
		return nil
	})
}

func (s *server) changeRole(ctx context.Context, operation, id, match string, apply func(*RoleDocument) error) (*versioned[Role], error) {
	wanted, err := ifMatch(match)
	if err != nil {
		return nil, err
	}
	var row db.Role
	err = s.changeAccess(ctx, operation, func(q *db.Queries, actor auth.Actor) error {
		if row, err = q.GetRole(ctx, id); err != nil {
			return missing(err, "role", id)
		}
		if err := checkVersion(wanted, row.Version); err != nil {
			return err
		}
		before := row
		document := documentOfRole(row)
		if err := apply(&document); err != nil {
			return err
		}
		if err := document.fill(&row).OrNil(); err != nil {
			return err
		}
		if err := auth.CheckRoleChange(actor, roleOf(before), roleOf(row)); err != nil {
			return err
		}
		if row, err = q.UpdateRole(ctx, row); err != nil {
			return raced(err, wanted)
		}
		changes, err := changed(viewRole(before), viewRole(row))
		if err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "role.update", "role", row.ID, changes))
	})
	if err != nil {
		return nil, err
	}
	return &versioned[Role]{etag(row.Version), viewRole(row)}, nil
}

func (s *server) deleteRole(ctx context.Context, in *DeleteInput) (*empty, error) {
	return nil, s.changeAccess(ctx, "delete-role", func(q *db.Queries, actor auth.Actor) error {
		row, err := deletable(ctx, q, in, db.RolesTable, q.GetRole, func(r db.Role) int64 { return r.Version })
		if err != nil {
			return missing(err, "role", in.ID)
		}
		if err := auth.CheckRoleChange(actor, roleOf(row), nil); err != nil {
			return err
		}
		if err := q.DeleteRole(ctx, in.ID); err != nil {
			return missing(err, "role", in.ID)
		}
		return q.AddAudit(ctx, audited(ctx, "role.delete", "role", row.ID, map[string]any{"before": viewRole(row)}))
	})
}
