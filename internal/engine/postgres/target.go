package postgres

import (
	"context"
	"fmt"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// CheckTarget looks at names, streams, pg_restore, the user's rights and what the target holds.
func (e *Engine) CheckTarget(ctx context.Context, target engine.Source, req engine.StageRequest) error {
	names, err := namesOf(req)
	if err != nil {
		return err
	}
	if !req.BeforeBackup {
		stream, err := mainStream(req.Streams)
		if err != nil {
			return err
		}
		if _, err := e.tools.atLeast(ctx, "pg_restore", archiveMajor(stream)); err != nil {
			return err
		}
	}
	server, err := maintenance(ctx, target, names.target)
	if err != nil {
		return err
	}
	defer server.close()
	if !server.superuser && !server.createDB {
		return failure.New(failure.ConfigInvalid, "check the rights of user "+quoted(target.Config.Username),
			"it may not create databases, and a restore loads into a new one", fmt.Sprintf("Run: ALTER ROLE %s CREATEDB;", quoted(target.Config.Username)))
	}
	if req.Scratch {
		return nil
	}
	return server.checkReplaceable(ctx, names, req)
}

// checkReplaceable refuses a target that is there and must not, or can not, be replaced. A target
// that this restore itself put there is left to Promote.
func (a *admin) checkReplaceable(ctx context.Context, names restoreNames, req engine.StageRequest) error {
	existing, err := a.find(ctx, names.target)
	if err != nil || existing == nil || hasMark(existing.Comment, req.Token) {
		return err
	}
	op := "check the target database " + quoted(names.target)
	switch {
	case existing.Template:
		return failure.New(failure.ConfigInvalid, op, "it is a template database", "Restore into another target_database.")
	case !existing.Mine:
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("it belongs to %s, and user %s can not replace it", quoted(existing.Owner), quoted(a.src.Config.Username)),
			fmt.Sprintf("Connect as its owner, or run: GRANT %s TO %s;", quoted(existing.Owner), quoted(a.src.Config.Username)))
	case req.MayReplace():
		return nil
	case !existing.Connect:
		return failure.New(failure.ConfigInvalid, op, "it allows no connections, so that nobody can see whether it is empty", "Set drop_existing to replace it.")
	}
	empty, err := a.isEmpty(ctx, names.target)
	if err != nil {
		return err
	}
	if !empty {
		return failure.New(failure.ConfigInvalid, op, "it exists and is not empty", req.NotEmptyHint())
	}
	return nil
}

// isEmpty reports whether a database holds nothing but what a new one has. Extensions and what
// they brought do not count.
func (a *admin) isEmpty(ctx context.Context, name string) (bool, error) {
	conn, err := connect(ctx, a.src, name)
	if err != nil {
		return false, err
	}
	defer closeConn(conn)
	var empty bool
	err = conn.QueryRow(ctx, `with user_schemas as (
			select oid, nspname from pg_namespace n
			where nspname !~ '^pg_' and nspname <> 'information_schema' and `+notOfExtension("pg_namespace", "n.oid")+`
		)
		select not exists (select from user_schemas where nspname <> 'public')
			and not exists (select from pg_class c join user_schemas s on s.oid = relnamespace where `+notOfExtension("pg_class", "c.oid")+`)
			and not exists (select from pg_proc p join user_schemas s on s.oid = pronamespace where `+notOfExtension("pg_proc", "p.oid")+`)
			and not exists (select from pg_type t join user_schemas s on s.oid = typnamespace where `+notOfExtension("pg_type", "t.oid")+`)
			and not exists (select from pg_largeobject_metadata)`).Scan(&empty)
	return empty, classify("look into database "+quoted(name), err)
}

// notOfExtension is a condition: no extension owns the object.
func notOfExtension(catalog, oid string) string {
	return `not exists (select from pg_depend where classid = '` + catalog + `'::regclass and objid = ` + oid + ` and deptype = 'e')`
}
