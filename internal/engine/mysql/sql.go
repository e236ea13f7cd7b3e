package mysql

import (
	"context"
	"strings"
)

// quoted is an identifier for SQL.
func quoted(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// named is a thing in a database for SQL.
func named(database, name string) string { return quoted(database) + "." + quoted(name) }

// literal is a string for the few statements that take no parameters, under sql_mode ”.
func literal(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`, "\x00", `\0`).Replace(value) + "'"
}

// exec runs statements in order.
func (s *session) exec(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := s.conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// queryOne reads the one value of a query. Errors: sql.ErrNoRows.
func queryOne[T any](ctx context.Context, s *session, query string, args ...any) (value T, err error) {
	err = s.conn.QueryRowContext(ctx, query, args...).Scan(&value)
	return value, err
}

// queryRows reads every row as texts; NULL is "".
func (s *session) queryRows(ctx context.Context, query string, args ...any) (found [][]string, err error) {
	rows, err := s.conn.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		raw, targets := make([][]byte, len(columns)), make([]any, len(columns))
		for i := range raw {
			targets[i] = &raw[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		row := make([]string, len(columns))
		for i := range raw {
			row[i] = string(raw[i])
		}
		found = append(found, row)
	}
	return found, rows.Err()
}

// queryColumn reads the first column of every row.
func (s *session) queryColumn(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := s.queryRows(ctx, query, args...)
	values := make([]string, 0, len(rows))
	for _, row := range rows {
		values = append(values, row[0])
	}
	return values, err
}
