package mysql

import (
	"context"
	"database/sql"
	"slices"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

var _ engine.ColumnReader = (*Engine)(nil)

// textTypes are the types of columns that hold paths, as the driver names them.
var textTypes = []string{"CHAR", "VARCHAR", "TEXT", "TINYTEXT", "MEDIUMTEXT", "LONGTEXT", "ENUM", "SET"}

// ReadColumn reads row by row: the server's answer is never whole in memory.
func (e *Engine) ReadColumn(ctx context.Context, src engine.Source, statement, column string, each func(string) error) error {
	const op = "run the statement"
	if err := checkReads(op, statement); err != nil {
		return err
	}
	s, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.exec(ctx, "SET SESSION TRANSACTION READ ONLY", "START TRANSACTION READ ONLY"); err != nil {
		return classify("begin a read-only transaction", err)
	}
	reading, stop := context.WithCancel(ctx)
	rows, err := s.conn.QueryContext(reading, statement)
	if err != nil {
		stop()
		return classifyQuery(err)
	}
	defer rows.Close()
	defer stop() // before: rows that nobody wants are not read
	return eachText(rows, op, column, each)
}

// eachText calls each with the column's value in every row, null left out.
func eachText(rows *sql.Rows, op, column string, each func(string) error) error {
	types, err := rows.ColumnTypes()
	if err != nil {
		return classifyQuery(err)
	}
	values := make([]any, len(types))
	var ignored, value *[]byte
	at := -1
	for i, t := range types {
		values[i] = &ignored
		if t.Name() != column || at >= 0 {
			continue
		}
		if !slices.Contains(textTypes, t.DatabaseTypeName()) {
			return failure.New(failure.ConfigInvalid, op, "its column "+quoted(column)+" is no text", "Cast it: CAST(… AS CHAR) AS "+quoted(column)+".")
		}
		at, values[i] = i, &value
	}
	if at < 0 {
		return failure.New(failure.ConfigInvalid, op, "it has no column "+quoted(column), "Name the column in the statement: SELECT … AS "+quoted(column)+".")
	}
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			return classifyQuery(err)
		}
		if value != nil {
			if err := each(string(*value)); err != nil {
				return err
			}
		}
	}
	return classifyQueryEnd(rows.Err())
}
