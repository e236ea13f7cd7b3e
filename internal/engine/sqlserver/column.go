package sqlserver

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

var _ engine.ColumnReader = (*Engine)(nil)

// textTypes are the types of columns that hold paths, as the driver names them.
var textTypes = []string{"CHAR", "NCHAR", "VARCHAR", "NVARCHAR", "TEXT", "NTEXT"}

// ReadColumn reads row by row, and keeps the statement from writing as Query does.
func (e *Engine) ReadColumn(ctx context.Context, src engine.Source, statement, column string, each func(string) error) error {
	const op = "run the statement"
	if err := checkReads(statement); err != nil {
		return err
	}
	conn, err := open(ctx, src, src.Config.Database, true)
	if err != nil {
		return err
	}
	defer conn.close()
	defer conn.cutAfter(ctx)()
	if err := conn.guard(ctx, op); err != nil {
		return err
	}
	if err := conn.readColumn(ctx, statement, column, each); ctx.Err() == nil {
		return classify(op, err)
	}
	return classify(op, ctx.Err())
}

func (s *session) readColumn(ctx context.Context, statement, column string, each func(string) error) error {
	if _, err := s.ExecContext(ctx, fmt.Sprintf("SET LOCK_TIMEOUT %d", lockTimeout)); err != nil {
		return err
	}
	tx, err := s.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // the connection is closed after it, which rolls back as well
	reading, stop := context.WithCancel(ctx)
	defer stop()
	rows, err := tx.QueryContext(reading, statement)
	if err != nil {
		return err
	}
	defer func() {
		stop() // rows that nobody wants are not sent
		_ = rows.Close()
	}()
	return eachText(rows, column, each)
}

// eachText calls each with the column's value in every row, null left out.
func eachText(rows *sql.Rows, column string, each func(string) error) error {
	const op = "run the statement"
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(types, func(t *sql.ColumnType) bool { return t.Name() == column })
	if at < 0 {
		return failure.New(failure.ConfigInvalid, op, "it has no column "+quoted(column), "Name the column in the statement: SELECT … AS "+quoted(column)+".")
	}
	if !slices.Contains(textTypes, types[at].DatabaseTypeName()) {
		return failure.New(failure.ConfigInvalid, op, "its column "+quoted(column)+" is no text", "Cast it: CAST(… AS nvarchar(max)) AS "+quoted(column)+".")
	}
	values := make([]any, len(types))
	for i := range values {
		values[i] = new(any)
	}
	var value sql.NullString
	values[at] = &value
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			return err
		}
		if value.Valid {
			if err := each(value.String); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}
