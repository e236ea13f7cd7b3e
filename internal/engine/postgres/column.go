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

// ReadColumn reads row by row: the server's answer is never whole in memory. What the statement answers is asked for
// before it runs: one that has no such column never does, COPY least of all, whose files and programs a read-only
// transaction would not stop.
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
	described, err := tx.Prepare(ctx, "path_column", statement) // takes one statement only
	if err != nil {
		return refusedStatement(op, err)
	}
	at := slices.IndexFunc(described.Fields, func(f pgconn.FieldDescription) bool { return f.Name == column })
	if at < 0 {
		return failure.New(failure.ConfigInvalid, op, "it has no column "+quoted(column), "Name the column in the statement: SELECT … AS "+quoted(column)+".")
	}
	if !slices.Contains(textTypes, described.Fields[at].DataTypeOID) {
		return failure.New(failure.ConfigInvalid, op, "its column "+quoted(column)+" is no text", "Cast it: …::text AS "+quoted(column)+".")
	}
	rows, err := tx.Query(ctx, described.Name)
	if err != nil {
		return refusedStatement(op, err)
	}
	defer rows.Close()
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
	err = rowless(err)
	classified := classify(op, err)
	if err != nil && sqlState(err) != "" && failure.ClassOf(classified) == failure.Unknown {
		return failure.New(failure.ConfigInvalid, op, classified.(*failure.Error).Cause.Error(), "Correct the statement.") //nolint:errorlint,forcetypeassert // classify makes it
	}
	return classified
}
