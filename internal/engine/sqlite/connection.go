package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/posixlock"
)

// The modes in which a file is opened; SQLite itself holds a connection to its mode.
const (
	readOnly = "mode=ro"
	// writable does not create a file that is not there.
	writable = "mode=rw"
	// private reads a file that nobody else knows: without locks, and without a WAL beside it.
	private = "mode=ro&immutable=1"
)

// busyStep is how long SQLite itself waits for a lock. It can not be interrupted there, so that longer
// waits are made of such steps.
const busyStep = "&_pragma=busy_timeout(200)"

// connection is the one connection of a database handle.
type connection struct {
	*sql.Conn
	db   *sql.DB
	kept *posixlock.Database
}

// open opens the database and locks nothing yet. Until the connection is closed, nobody who uses posixlock ends its locks.
func open(ctx context.Context, path, mode string) (*connection, error) {
	for {
		c, err := openKept(ctx, path, mode)
		if err != nil || !c.kept.Moved() {
			return c, err
		}
		if err := errors.Join(c.close(), ctx.Err()); err != nil { // another file took the name as it was opened
			return nil, err
		}
	}
}

func openKept(ctx context.Context, path, mode string) (*connection, error) {
	db, err := sql.Open("sqlite", uri(path)+"?"+mode+busyStep)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	kept := posixlock.Keep(path)
	conn, err := db.Conn(ctx)
	if err != nil {
		err = errors.Join(err, db.Close())
		kept.Release()
		return nil, err
	}
	return &connection{Conn: conn, db: db, kept: kept}, nil
}

func (c *connection) close() error {
	err := errors.Join(c.Conn.Close(), c.db.Close())
	c.kept.Release()
	return err
}

// uri names a file for SQLite, whatever characters are in its name.
func uri(path string) string { return "file:" + (&url.URL{Path: path}).EscapedPath() }

// reading opens the datasource's file for reading.
func reading(ctx context.Context, path string, do func(*connection) error) error {
	if err := checkReadable(path); err != nil {
		return err
	}
	db, err := open(ctx, path, readOnly)
	if err != nil {
		return err
	}
	return errors.Join(do(db), db.close())
}

// checkReadable tells apart what SQLite calls "unable to open". It opens nothing.
func checkReadable(path string) error {
	const op = "look for the database file"
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return failure.New(failure.NotFound, op, path+" does not exist on this worker",
			"Check file_path, and that the datasource's pool has only workers that see the file.")
	case err != nil:
		return failure.Wrap(failure.ConfigInvalid, op, err, "Check file_path and the permissions of the folders above it.")
	case !info.Mode().IsRegular():
		return failure.New(failure.ConfigInvalid, op, path+" is not a file", "Give the database's file in file_path.")
	case info.Size() == 0:
		return failure.New(failure.ConfigInvalid, op, path+" is empty: nothing was ever written to the database", "Check file_path.")
	case unix.Access(path, unix.R_OK) != nil:
		return failure.New(failure.ConfigInvalid, op, "the worker's user may not read "+path,
			"Run the worker as the user who owns the database, or as root.")
	}
	return nil
}

// read reads the schema, and waits up to limit (0 is without end) while somebody keeps the database locked. In a
// transaction it takes the snapshot that every later statement sees.
func (c *connection) read(ctx context.Context, limit time.Duration) error {
	return whileLocked(ctx, limit, func() error {
		var objects int
		return c.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&objects)
	})
}

// whileLocked tries again what fails because the database is locked.
func whileLocked(ctx context.Context, limit time.Duration, try func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if !isLocked(err) || (limit > 0 && time.Now().After(deadline)) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond): // SQLite has no event for it
		}
	}
}

// pages are what a database file consists of.
type pages struct{ size, count int64 }

func (p pages) bytes() int64 { return p.size * p.count }

func (c *connection) pages(ctx context.Context) (p pages, err error) {
	if err = c.QueryRowContext(ctx, "PRAGMA page_size").Scan(&p.size); err == nil {
		err = c.QueryRowContext(ctx, "PRAGMA page_count").Scan(&p.count)
	}
	return p, err
}

func (c *connection) journalMode(ctx context.Context) (mode string, err error) {
	err = c.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode)
	return strings.ToLower(mode), err
}
