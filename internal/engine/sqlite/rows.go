package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

var (
	_ engine.RowCounter = (*Engine)(nil)
	_ engine.KeyChecker = (*Engine)(nil)
	_ engine.Identifier = (*Engine)(nil)
)

// Identity is the file itself, whatever path leads to it.
func (e *Engine) Identity(_ context.Context, src engine.Source) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(src.Config.FilePath, &st); err != nil {
		return "", classify("look at "+src.Config.FilePath, err)
	}
	return fmt.Sprintf("%d/%d", st.Dev, st.Ino), nil
}

// RecordedRows reads what Dump counted in its private copy, which is what it stored.
func (e *Engine) RecordedRows(streams []engine.Stream) (map[string]int64, bool, error) {
	stream, err := mainStream(streams)
	if err != nil {
		return nil, false, err
	}
	return engine.RowsOf(stream)
}

// CountRows counts the rows of a file that nobody else has open.
func (e *Engine) CountRows(ctx context.Context, src engine.Source) (map[string]int64, error) {
	return countRows(ctx, src.Config.FilePath)
}

func countRows(ctx context.Context, path string) (rows map[string]int64, err error) {
	db, err := open(ctx, path, private)
	if err != nil {
		return nil, damaged(err)
	}
	defer func() { err = errors.Join(err, db.close()) }()
	names, err := db.tableNames(ctx)
	if err != nil {
		return nil, damaged(err)
	}
	rows = make(map[string]int64, len(names))
	for _, name := range names {
		var n int64
		if err := db.QueryRowContext(ctx, `SELECT count(*) FROM "`+strings.ReplaceAll(name, `"`, `""`)+`"`).Scan(&n); err != nil {
			return nil, failure.Wrap(failure.ClassOf(damaged(err)), fmt.Sprintf("count the rows of table %q", name), damaged(err), "")
		}
		rows[name] = n
	}
	return rows, nil
}

// tableNames are the tables that hold rows of their own: a virtual one may need a module that only the
// application has.
func (c *connection) tableNames(ctx context.Context) (names []string, err error) {
	found, err := c.QueryContext(ctx, `SELECT name FROM sqlite_schema
		WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND sql NOT LIKE 'create virtual%' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		var name string
		if err := found.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, found.Err()
}

// BrokenKeys runs PRAGMA foreign_key_check: SQLite checks foreign keys for connections that ask for it only.
func (e *Engine) BrokenKeys(ctx context.Context, src engine.Source) (broken []string, looked int, err error) {
	db, err := open(ctx, src.Config.FilePath, private)
	if err != nil {
		return nil, 0, damaged(err)
	}
	defer func() { err = errors.Join(err, db.close()) }()
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema s, pragma_foreign_key_list(s.name) WHERE s.type = 'table'`).Scan(&looked); err != nil {
		return nil, 0, damaged(err)
	}
	found, err := db.QueryContext(ctx, `SELECT DISTINCT "table" || ' to ' || parent FROM pragma_foreign_key_check LIMIT 10`)
	if err != nil {
		return nil, looked, damaged(err)
	}
	defer found.Close()
	for found.Next() {
		var key string
		if err := found.Scan(&key); err != nil {
			return broken, looked, damaged(err)
		}
		broken = append(broken, key)
	}
	return broken, looked, found.Err()
}
