package postgres

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

const (
	hintQuery = "Give one SELECT or VALUES statement that only reads."
	// goodbye is how much longer than the server's own limit an answer is waited for.
	goodbye = 5 * time.Second
)

// Query reads the statement's rows through a cursor in a READ ONLY transaction with a statement_timeout. The
// server takes neither a second statement (it is sent as a prepared one) nor anything but SELECT and VALUES
// for a cursor, so that COPY, whose files and programs a read-only transaction would not stop, has no way in.
// What a function does that the user may call is not undone by a read-only transaction: pg_read_file,
// lo_export and dblink need rights that the datasource's user should not have (docs/operations.md).
func (e *Engine) Query(ctx context.Context, src engine.Source, statement string) (domain.QueryResult, error) {
	result := domain.QueryResult{Columns: []domain.SchemaColumn{}, Rows: [][]any{}}
	ctx, cancel := context.WithTimeout(ctx, e.queryTimeout+goodbye)
	defer cancel()
	start := time.Now()
	err := e.reading(ctx, src, func(conn *pgx.Conn) error {
		if err := one(ctx, conn, "DECLARE dataguardian_answer NO SCROLL CURSOR FOR "+statement); err != nil {
			return err
		}
		return answer(ctx, conn, &result)
	})
	result.DurationMS = time.Since(start).Milliseconds()
	return result, e.classifyQuery(err)
}

// one sends a statement as a prepared one, of which the server takes one at a time: pgx would send a text
// without arguments as a script, in which a COMMIT ends what keeps the rest from writing.
func one(ctx context.Context, conn *pgx.Conn, statement string) error {
	rows := conn.PgConn().ExecParams(ctx, statement, nil, nil, nil, nil)
	for rows.NextRow() { //nolint:revive // what a hook answers is of no use
	}
	_, err := rows.Close()
	return err
}

// reading runs read in a transaction that can not write. The connection is closed after it, which ends
// everything that a function took for the session.
func (e *Engine) reading(ctx context.Context, src engine.Source, read func(*pgx.Conn) error) error {
	conn, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	for _, statement := range []string{
		"BEGIN READ ONLY",
		fmt.Sprintf("SET LOCAL statement_timeout = %d", e.queryTimeout.Milliseconds()),
		"SET LOCAL client_encoding = 'UTF8'",
		"SET LOCAL bytea_output = 'hex'",
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return classify("begin to read", err)
		}
	}
	return read(conn)
}

// answer fetches one row more than is answered. A row that is larger than a whole answer is refused while
// it arrives, not after.
func answer(ctx context.Context, conn *pgx.Conn, result *domain.QueryResult) error {
	conn.PgConn().Frontend().SetMaxBodyLen(2 * domain.MaxQueryBytes)
	rows := conn.PgConn().ExecParams(ctx, fmt.Sprintf("FETCH FORWARD %d FROM dataguardian_answer", domain.MaxQueryRows+1), nil, nil, nil, nil)
	fields := append([]pgconn.FieldDescription(nil), rows.FieldDescriptions()...)
	bytes := 0
	for rows.NextRow() {
		if len(result.Rows) == domain.MaxQueryRows || bytes >= domain.MaxQueryBytes {
			result.Truncated = true
			break
		}
		row := make([]any, len(fields))
		for i, text := range rows.Values() {
			row[i] = encoded(fields[i].DataTypeOID, text)
			bytes += len(text) + 8
		}
		result.Rows = append(result.Rows, row)
	}
	if len(result.Rows) == domain.MaxQueryRows || !result.Truncated {
		if _, err := rows.Close(); err != nil {
			return err
		}
		return describeColumns(ctx, conn, fields, result)
	}
	// The rest of the rows may be large: the connection is given up instead of read on.
	for _, field := range fields {
		result.Columns = append(result.Columns, domain.SchemaColumn{Name: field.Name, Type: typeName(conn, field), Nullable: true})
	}
	return nil
}

// typeName is the name of a type that everybody has, where the server can not be asked any more.
func typeName(conn *pgx.Conn, field pgconn.FieldDescription) string {
	if known, found := conn.TypeMap().TypeForOID(field.DataTypeOID); found {
		return known.Name
	}
	return ""
}

func describeColumns(ctx context.Context, conn *pgx.Conn, fields []pgconn.FieldDescription, result *domain.QueryResult) error {
	if len(fields) == 0 {
		return nil
	}
	oids, modifiers := make([]uint32, len(fields)), make([]int32, len(fields))
	for i, field := range fields {
		oids[i], modifiers[i] = field.DataTypeOID, field.TypeModifier
	}
	rows, err := conn.Query(ctx, "select format_type(o, m) from unnest($1::oid[], $2::int4[]) with ordinality as t(o, m, n) order by n", oids, modifiers)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for i, name := range names {
		result.Columns = append(result.Columns, domain.SchemaColumn{Name: fields[i].Name, Type: name, Nullable: true})
	}
	return nil
}

// exactNumber is the largest integer that every reader of JSON keeps.
const exactNumber = 1 << 53

// encoded is a value, given as the server's text, as domain.QueryResult has it.
func encoded(oid uint32, text []byte) any {
	if text == nil {
		return nil
	}
	value := strings.ToValidUTF8(string(text), "\uFFFD")
	switch oid {
	case pgtype.BoolOID:
		return value == "t"
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n <= exactNumber && n >= -exactNumber {
			return n
		}
	case pgtype.Float4OID, pgtype.Float8OID:
		if f, err := strconv.ParseFloat(value, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f
		}
	case pgtype.ByteaOID:
		if digits, is := strings.CutPrefix(value, `\x`); is {
			if raw, err := hex.DecodeString(digits); err == nil {
				return base64.StdEncoding.EncodeToString(raw)
			}
		}
	}
	return value
}

// statementFaults are classes of SQLSTATE: data exception, transaction state (a write, above all), dependent objects,
// function, schema name, syntax and rights, PL/pgSQL.
var statementFaults = []string{"22", "25", "2B", "2F", "3F", "42", "P0"}

// classifyQuery tells the statement's faults from the server's.
func (e *Engine) classifyQuery(err error) error {
	const op = "run the statement"
	var known *failure.Error
	var tooLong *pgproto3.ExceededMaxBodyLenErr
	err = rowless(err)
	state := sqlState(err)
	switch {
	case err == nil || errors.As(err, &known):
		return failure.Wrap(failure.Unknown, op, err, "")
	case errors.As(err, &tooLong):
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("a row has more than %d bytes", 2*domain.MaxQueryBytes), "Select less of it, for example with left() or substring().")
	case state == "57014":
		return failure.New(failure.Timeout, op, fmt.Sprintf("it took longer than %s", e.queryTimeout), "Ask for less, or add an index.")
	case state == "0A000", len(state) == 5 && slices.Contains(statementFaults, state[:2]):
		hint := hintQuery
		if state == "42501" {
			hint = hintRights
		}
		var server *pgconn.PgError
		errors.As(err, &server)
		return failure.Wrap(failure.ConfigInvalid, op, &serverError{server.Message, server}, hint)
	}
	return classify(op, err)
}

// Execute runs one statement of a hook, outside a transaction block: VACUUM and CHECKPOINT are taken. Its rows
// are read and dropped one by one.
func (e *Engine) Execute(ctx context.Context, src engine.Source, statement string) error {
	conn, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	err = rowless(one(ctx, conn, statement))
	if state := sqlState(err); strings.HasPrefix(state, "42") && state != "42501" {
		var server *pgconn.PgError
		errors.As(err, &server)
		return failure.Wrap(failure.ConfigInvalid, "run the statement", &serverError{server.Message, server}, "Check the statement; one is taken at a time.")
	}
	return classify("run the statement", err)
}
