package postgres

import (
	"bytes"
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/engine"
)

var (
	_ engine.RowCounter = (*Engine)(nil)
	_ engine.KeyChecker = (*Engine)(nil)
	_ engine.Identifier = (*Engine)(nil)
)

// Rows are counted in the dump as it passes: what COPY writes has a line a row, and line breaks in values are
// escaped. The count is of exactly what was stored, and costs no look at the database.

// propTables is which table each file of a directory dump holds, a line each: file, tab, name.
const propTables = "tables"

// endLines are the line breaks of the mark behind the rows (endMark, less the one that ends the last row).
const endLines = 3

// tableName is how both sides of a comparison call a table.
func tableName(namespace, table string) string { return namespace + "." + table }

var lineBreak = []byte{'\n'}

// skipLines passes over n bytes and counts line breaks.
func (w *walker) skipLines(n int, lines *int64) error {
	for n > 0 {
		if !w.fill() {
			return errCutShort
		}
		part := w.use(min(n, len(w.pending)))
		*lines += int64(bytes.Count(part, lineBreak))
		n -= len(part)
	}
	return nil
}

// rows are those of a custom-format dump.
func (s summary) rows() map[string]int64 {
	rows := map[string]int64{}
	for _, block := range s.blocks {
		if name := s.names[block.id]; name != "" {
			rows[name] = block.lines - endLines
		}
	}
	return rows
}

// RecordedRows puts together what the streams of a dump say.
func (e *Engine) RecordedRows(streams []engine.Stream) (map[string]int64, bool, error) {
	toc, err := mainStream(streams)
	if err != nil {
		return nil, false, err
	}
	if toc.Format != DirectoryFormat {
		return engine.RowsOf(toc)
	}
	files := map[string]int64{}
	for _, s := range streams {
		rows, _, err := engine.RowsOf(s)
		if err != nil {
			return nil, false, err
		}
		for file, n := range rows {
			files[file] = n
		}
	}
	tables, known := toc.Properties[propTables]
	out := map[string]int64{}
	for line := range strings.Lines(tables) {
		file, table, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		n, counted := files[file]
		if !counted {
			return nil, false, nil // of an older version
		}
		out[table] = n
	}
	return out, known, nil
}

// CountRows counts in one transaction. Tables of extensions are there, but not comparable: a dump has those of
// their rows only that CREATE EXTENSION does not make.
func (e *Engine) CountRows(ctx context.Context, src engine.Source) (map[string]int64, error) {
	conn, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	const op = "count the restored rows"
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return nil, classify(op, err)
	}
	found, err := conn.Query(ctx, `select nspname::text, relname::text, `+notOfExtension("pg_class", "c.oid")+`
		from pg_class c join pg_namespace n on n.oid = relnamespace
		where relkind = 'r' and nspname !~ '^pg_' and nspname <> 'information_schema'`)
	if err != nil {
		return nil, classify(op, err)
	}
	type table struct {
		Schema, Name string
		Comparable   bool
	}
	tables, err := pgx.CollectRows(found, pgx.RowToStructByPos[table])
	if err != nil {
		return nil, classify(op, err)
	}
	rows := make(map[string]int64, len(tables))
	for _, t := range tables {
		n := int64(-1)
		if t.Comparable {
			if err := conn.QueryRow(ctx, "select count(*) from only "+quoted(t.Schema)+"."+quoted(t.Name)).Scan(&n); err != nil {
				return nil, classify(op, err)
			}
		}
		rows[tableName(t.Schema, t.Name)] = n
	}
	return rows, nil
}

// BrokenKeys has nothing to look for: the restore made every foreign key, and the server checks all rows when
// it makes one. Those that were NOT VALID in the source are so again, and promise nothing.
func (e *Engine) BrokenKeys(ctx context.Context, src engine.Source) (broken []string, looked int, err error) {
	conn, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return nil, 0, err
	}
	defer closeConn(conn)
	err = conn.QueryRow(ctx, "select count(*) from pg_constraint where contype = 'f' and convalidated").Scan(&looked)
	return nil, looked, classify("count the foreign keys", err)
}

// connectAny connects to the database of src, or to one that is about the server where it has none.
func connectAny(ctx context.Context, src engine.Source) (*pgx.Conn, error) {
	if src.Config.Database != "" {
		return connect(ctx, src, src.Config.Database)
	}
	server, err := maintenance(ctx, src, "")
	if err != nil {
		return nil, err
	}
	return server.Conn, nil
}

// Identity is the cluster's own number with the database's. A server that does not tell has none.
func (e *Engine) Identity(ctx context.Context, src engine.Source) (string, error) {
	conn, err := connectAny(ctx, src)
	if err != nil {
		return "", err
	}
	defer closeConn(conn)
	var identity string
	err = conn.QueryRow(ctx, `select (select system_identifier from pg_control_system()) || '/' || oid from pg_database where datname = current_database()`).Scan(&identity)
	if sqlState(err) != "" {
		return "", nil //nolint:nilerr // it may not be asked
	}
	return identity, classify("ask for the server's identity", err)
}
