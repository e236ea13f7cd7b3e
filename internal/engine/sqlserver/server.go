package sqlserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/internal/engine"
)

// admin is a connection that is about the server's databases.
type admin struct{ *session }

func maintenance(ctx context.Context, src engine.Source) (*admin, error) {
	s, err := connect(ctx, src, anyDatabase)
	if err != nil {
		return nil, err
	}
	return &admin{s}, nil
}

// The states and access modes of databases that matter here.
const (
	stateOnline = "ONLINE"
	multiUser   = "MULTI_USER"
	singleUser  = "SINGLE_USER"
	restricted  = "RESTRICTED_USER" // owners of the database, and who may make databases
)

// database is what is known of one database of the server, whether it can be opened or not.
type database struct {
	name   string
	state  string // ONLINE, RESTORING, OFFLINE, …
	access string // MULTI_USER, SINGLE_USER, RESTRICTED_USER
	ours   bool   // this restore made its files
}

// find looks a database up; nil is not there.
func (a *admin) find(ctx context.Context, name string, names restoreNames) (*database, error) {
	return a.findMarked(ctx, name, names.fileMark())
}

// findMarked looks a database up; it is ours if mark is in the names of its files.
func (a *admin) findMarked(ctx context.Context, name, mark string) (*database, error) {
	var found database
	var files int
	err := a.QueryRowContext(ctx, `SELECT d.name, d.state_desc, d.user_access_desc,
			(SELECT COUNT(*) FROM sys.master_files AS f WHERE f.database_id = d.database_id AND CHARINDEX(@p2, f.physical_name) > 0)
		FROM sys.databases AS d WHERE d.name = @p1`, name, mark).Scan(&found.name, &found.state, &found.access, &files)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, classify("look for database "+quoted(name), err)
	}
	found.ours = files > 0
	return &found, nil
}

const (
	// useAttempts bounds how often a database that is in use is tried again.
	useAttempts = 6
	useRetry    = 200 * time.Millisecond
)

// alone runs a statement that needs a database for itself. Sessions that come back are ended again.
func (a *admin) alone(ctx context.Context, op, name, statement string) error {
	for attempt := 1; ; attempt++ {
		err := a.execute(ctx, op, statement)
		if err == nil || !numbered(err, 5030, 5061, 5064, 5070, 924, 1205, 3702) || attempt == useAttempts {
			return err
		}
		a.evict(ctx, name)
		if err := pause(ctx, useRetry); err != nil {
			return classify(op, err)
		}
	}
}

// evict ends every other session in the database. What can not be ended shows in the statement that
// needs it gone.
func (a *admin) evict(ctx context.Context, name string) {
	rows, err := a.table(ctx, "", "SELECT CONVERT(bigint, session_id) AS id FROM sys.dm_exec_sessions WHERE database_id = DB_ID("+literal(name)+") AND session_id <> @@SPID")
	if err != nil {
		return
	}
	for _, row := range rows {
		_, _ = a.ExecContext(ctx, fmt.Sprintf("KILL %d", row.number("id")))
	}
}

func (a *admin) setAccess(ctx context.Context, name, access string) error {
	statement := "ALTER DATABASE " + quoted(name) + " SET " + access
	if access != multiUser {
		statement += " WITH ROLLBACK IMMEDIATE"
	}
	return a.alone(ctx, "set database "+quoted(name)+" to "+access, name, statement)
}

func (a *admin) rename(ctx context.Context, from, to string) error {
	return a.alone(ctx, fmt.Sprintf("rename database %s to %s", quoted(from), quoted(to)), from,
		"ALTER DATABASE "+quoted(from)+" MODIFY NAME = "+quoted(to))
}

// drop drops a database with the sessions in it. One that is not there is no error. If it fails, the
// database is open to several users as it was.
func (a *admin) drop(ctx context.Context, name string, names restoreNames) error {
	found, err := a.find(ctx, name, names)
	if err != nil || found == nil {
		return err
	}
	if found.state == stateOnline {
		if err := a.setAccess(ctx, name, singleUser); err != nil {
			return err
		}
	}
	err = a.alone(ctx, "drop database "+quoted(name), name, "DROP DATABASE "+quoted(name))
	if err != nil && found.state == stateOnline {
		again, cancel := detached(ctx)
		defer cancel()
		_ = a.setAccess(again, name, multiUser) // err says more
	}
	return err
}

// countTables counts the tables of a database that are people's.
func (s *session) countTables(ctx context.Context, database string) (count int, err error) {
	err = s.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+quoted(database)+".sys.tables WHERE is_ms_shipped = 0").Scan(&count)
	return count, classify("count the tables of database "+quoted(database), err)
}
