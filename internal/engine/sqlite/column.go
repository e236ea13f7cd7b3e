package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

var _ engine.ColumnReader = (*Engine)(nil)

// ReadColumn reads row by row, on a connection that is confined as that of Query. Any column may hold any type: each value has
// to be a text.
func (e *Engine) ReadColumn(ctx context.Context, src engine.Source, statement, column string, each func(string) error) error {
	text, err := checked(statement)
	if err != nil {
		return err
	}
	err = reading(ctx, src.Config.FilePath, func(db *connection) error {
		if err := db.confine(ctx); err != nil {
			return err
		}
		if err := db.read(ctx, probeTimeout); err != nil {
			return err
		}
		rows, err := db.QueryContext(ctx, text)
		if err != nil {
			return err
		}
		defer rows.Close()
		return eachText(rows, column, each)
	})
	return classifyStatement("run the statement", err)
}

// eachText calls each with the column's value in every row, null left out.
func eachText(rows *sql.Rows, column string, each func(string) error) error {
	const op = "run the statement"
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	at := slices.Index(names, column)
	if at < 0 {
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("it has no column %q", column), fmt.Sprintf("Name the column in the statement: SELECT … AS %q.", column))
	}
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		switch value := values[at].(type) {
		case nil:
		case string:
			if err := each(value); err != nil {
				return err
			}
		default:
			return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("its column %q has a value that is no text", column), fmt.Sprintf("Cast it: CAST(… AS TEXT) AS %q.", column))
		}
	}
	return rows.Err()
}
