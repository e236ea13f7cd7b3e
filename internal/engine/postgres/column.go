package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

var _ engine.ColumnReader = (*Engine)(nil)

var textTypes = []uint32{pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.NameOID}

// ReadColumn reads row by row: the server's answer is never whole in memory.
func (e *Engine) ReadColumn(ctx context.Context, src engine.Source, statement, column string, each func(string) error) error {
	const op = "run the statement"
	conn, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return classify("begin to read", err)
	}
	rows, err := tx.Query(ctx, statement) // by the extended protocol, which takes one statement only
	if err != nil {
		return refusedStatement(op, err)
	}
	defer rows.Close()
	fields := rows.FieldDescriptions()
	at := slices.IndexFunc(fields, func(f pgconn.FieldDescription) bool { return f.Name == column })
	if at < 0 {
		if rows.Close(); rows.Err() != nil { // it failed before there could be one
			return refusedStatement(op, rows.Err())
		}
		return failure.New(failure.ConfigInvalid, op, "it has no column "+quoted(column), "Name the column in the statement: SELECT … AS "+quoted(column)+".")
	}
	if at >= 0 && !slices.Contains(textTypes, fields[at].DataTypeOID) {
		return failure.New(failure.ConfigInvalid, op, "its column "+quoted(column)+" is no text", "Cast it: …::text AS "+quoted(column)+".")
	}
	for rows.Next() {
		if raw := rows.RawValues()[at]; raw != nil { // text looks the same in both formats
			if err := each(string(raw)); err != nil {
				return err
			}
		}
	}
	return refusedStatement(op, rows.Err())
}

// refusedStatement classifies what came of a statement that somebody wrote: an answer of the server that has no class
// of its own is about the statement.
func refusedStatement(op string, err error) error {
	classified := classify(op, err)
	if err != nil && sqlState(err) != "" && failure.ClassOf(classified) == failure.Unknown {
		return failure.New(failure.ConfigInvalid, op, classified.(*failure.Error).Cause.Error(), "Correct the statement.") //nolint:errorlint,forcetypeassert // classify makes it
	}
	return classified
}
