package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// pgxQuerier is a connection or a transaction.
type pgxQuerier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// admin is a connection to a maintenance database, from which other databases are made, renamed
// and dropped.
type admin struct {
	*pgx.Conn
	src       engine.Source
	version   version
	superuser bool
	createDB  bool
}

// maintenance connects to postgres, else template1, else the configured database: whichever lets
// us in and is not the target, which can not be renamed from inside.
func maintenance(ctx context.Context, src engine.Source, target string) (*admin, error) {
	var conn *pgx.Conn
	var err error
	tried := []string{}
	for _, database := range []string{"postgres", "template1", src.Config.Database} {
		if database == "" || database == target || slices.Contains(tried, database) {
			continue
		}
		tried = append(tried, database)
		conn, err = connect(ctx, src, database)
		// No such database, or this user has no entry or right for it: the next may do.
		if err == nil || !slices.Contains([]string{"3D000", "28000", "42501"}, sqlState(err)) {
			break
		}
	}
	if err != nil {
		return nil, failure.Wrap(failure.Unknown, "open a maintenance database (tried "+strings.Join(tried, ", ")+")", err, "")
	}
	a := &admin{Conn: conn, src: src}
	if a.version, err = serverVersion(ctx, conn); err == nil {
		err = classify("ask for the user's rights", conn.QueryRow(ctx,
			"select rolsuper, rolcreatedb from pg_roles where rolname = current_user").Scan(&a.superuser, &a.createDB))
	}
	if err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *admin) close() { closeConn(a.Conn) }

// database is what is known of one database of the server.
type database struct {
	Name       string
	Owner      string
	Mine       bool // the user owns it, or is a superuser
	Comment    string
	Template   bool
	Connect    bool // connections are allowed
	Limit      int32
	HasACL     bool
	Tablespace string
}

// find looks a database up; nil is not there.
func (a *admin) find(ctx context.Context, name string) (*database, error) {
	rows, err := a.Query(ctx, `select datname::text, pg_get_userbyid(datdba)::text,
			pg_has_role(current_user, datdba, 'USAGE') or (select rolsuper from pg_roles where rolname = current_user),
			coalesce(shobj_description(d.oid, 'pg_database'), ''), datistemplate, datallowconn, datconnlimit,
			datacl is not null, spcname::text
		from pg_database d join pg_tablespace t on t.oid = dattablespace where datname = $1`, name)
	if err != nil {
		return nil, classify("look for database "+quoted(name), err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[database])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, classify("look for database "+quoted(name), err)
	}
	return &found, nil
}

// oid identifies a database whatever it is called; 0 is not there.
func (a *admin) oid(ctx context.Context, name string) (oid uint32, err error) {
	err = a.QueryRow(ctx, "select coalesce(max(oid::bigint), 0) from pg_database where datname = $1", name).Scan(&oid)
	return oid, classify("look for database "+quoted(name), err)
}

// dropAttempts bounds how often a database that is still in use is tried again.
const dropAttempts = 5

// drop drops a database with the sessions in it. One that is not there is no error.
func (a *admin) drop(ctx context.Context, name string) error {
	statement := "DROP DATABASE IF EXISTS " + quoted(name)
	if a.version.num >= 130000 {
		statement += " WITH (FORCE)"
	}
	for attempt := 1; ; attempt++ {
		if a.version.num < 130000 {
			a.terminate(ctx, name)
		}
		_, err := a.Exec(ctx, statement)
		if err == nil {
			return nil
		}
		if sqlState(err) != "55006" || attempt == dropAttempts {
			return classify("drop database "+quoted(name), err)
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// terminate ends every session in the databases. What can not be ended shows in the statement that
// needs them gone.
func (a *admin) terminate(ctx context.Context, databases ...string) {
	rows, err := a.Query(ctx, "select pid from pg_stat_activity where datname = any($1) and pid <> pg_backend_pid()", databases)
	if err != nil {
		return
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		return
	}
	for _, pid := range pids {
		_, _ = a.Exec(ctx, "select pg_terminate_backend($1)", pid)
	}
}

// missingRoles are those of roles that the server does not have.
func (a *admin) missingRoles(ctx context.Context, roles []string) ([]string, error) {
	missing, err := names(ctx, a, "select r from unnest($1::text[]) r where r not in (select rolname from pg_roles)", roles)
	return missing, classify("look for roles", err)
}

// unusableTablespaces are those of tablespaces that the server does not have, or this user may not put anything in.
func (a *admin) unusableTablespaces(ctx context.Context, tablespaces []string) ([]string, error) {
	unusable, err := names(ctx, a, `select r from unnest($1::text[]) r
		where not exists (select from pg_tablespace where spcname = r and has_tablespace_privilege(oid, 'CREATE'))`, tablespaces)
	return unusable, classify("look for tablespaces", err)
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// detached is a context for cleaning up after ctx has ended.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
}
