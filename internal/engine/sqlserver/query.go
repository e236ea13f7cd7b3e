package sqlserver

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// lockTimeout bounds how long a query waits for others' locks, in milliseconds.
const lockTimeout = 10_000

// Query runs one SELECT. SQL Server has no read-only transaction. What it does have are rights, so the statement runs
// only as somebody who has none to write (see guard); before that, one that is not plainly a SELECT is refused (see
// checkReads). It runs in a transaction that is rolled back always, and says ApplicationIntent=ReadOnly.
func (e *Engine) Query(ctx context.Context, src engine.Source, statement string) (domain.QueryResult, error) {
	if err := checkReads(statement); err != nil {
		return domain.QueryResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, domain.QueryTimeout)
	defer cancel()
	conn, err := open(ctx, src, src.Config.Database, true)
	if err != nil {
		return domain.QueryResult{}, err
	}
	defer conn.close()
	defer conn.cutAfter(ctx)()
	if err := conn.guard(ctx, "run the query"); err != nil {
		return domain.QueryResult{}, err
	}
	start := time.Now()
	result, err := conn.query(ctx, statement)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return domain.QueryResult{}, classify("run the query", err)
	}
	result.DurationMS = time.Since(start).Milliseconds()
	return result, nil
}

func (s *session) query(ctx context.Context, statement string) (domain.QueryResult, error) {
	if _, err := s.ExecContext(ctx, fmt.Sprintf("SET LOCK_TIMEOUT %d", lockTimeout)); err != nil {
		return domain.QueryResult{}, err
	}
	tx, err := s.BeginTx(ctx, nil)
	if err != nil {
		return domain.QueryResult{}, err
	}
	defer func() { _ = tx.Rollback() }() // the connection is closed after it, which rolls back as well
	reading, stop := context.WithCancel(ctx)
	defer stop()
	rows, err := tx.QueryContext(reading, statement)
	if err != nil {
		return domain.QueryResult{}, err
	}
	defer func() {
		stop() // rows that nobody wants are not sent
		_ = rows.Close()
	}()
	return collect(rows)
}

// collect reads rows up to the bounds of an answer.
func collect(rows *sql.Rows) (domain.QueryResult, error) {
	result := domain.QueryResult{Columns: []domain.SchemaColumn{}, Rows: [][]any{}}
	types, err := rows.ColumnTypes()
	if err != nil {
		return result, err
	}
	for _, column := range types {
		nullable, known := column.Nullable()
		result.Columns = append(result.Columns, domain.SchemaColumn{Name: column.Name(), Type: column.DatabaseTypeName(), Nullable: nullable || !known})
	}
	bytes := 0
	for rows.Next() {
		if len(result.Rows) == domain.MaxQueryRows || bytes > domain.MaxQueryBytes {
			result.Truncated = true
			return result, nil
		}
		values, targets := make([]any, len(types)), make([]any, len(types))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return result, err
		}
		for i := range values {
			values[i] = plain(values[i], types[i].DatabaseTypeName())
			bytes += weight(values[i])
		}
		result.Rows = append(result.Rows, values)
	}
	return result, rows.Err()
}

// layouts are how times are written, by type.
var layouts = map[string]string{
	"DATE": time.DateOnly, "TIME": "15:04:05.9999999", "DATETIMEOFFSET": time.RFC3339Nano,
	"DATETIME": "2006-01-02T15:04:05.999", "SMALLDATETIME": "2006-01-02T15:04:05", "DATETIME2": "2006-01-02T15:04:05.9999999",
}

// plain is a value as JSON has it.
func plain(value any, kind string) any {
	switch v := value.(type) {
	case int64:
		if v > 1<<53 || v < -(1<<53) {
			return strconv.FormatInt(v, 10)
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
		if kind == "REAL" { // 0.1, and not the 0.10000000149011612 that its bits are in a double
			return float32(v)
		}
	case time.Time:
		if layout, known := layouts[kind]; known {
			return v.Format(layout)
		}
		return v.Format(time.RFC3339Nano)
	case []byte:
		switch kind {
		case "DECIMAL", "NUMERIC", "MONEY", "SMALLMONEY":
			return string(v)
		case "UNIQUEIDENTIFIER":
			var id mssql.UniqueIdentifier
			if id.Scan(v) == nil {
				return id.String()
			}
		}
		return base64.StdEncoding.EncodeToString(v)
	case bool, string, nil:
	default:
		return fmt.Sprint(v)
	}
	return value
}

func weight(value any) int {
	const scalar = 8
	if text, ok := value.(string); ok {
		return len(text) + scalar
	}
	return scalar
}

// errNotRead refuses a statement.
func errNotRead(what string) error {
	return failure.New(failure.ConfigInvalid, "run the query", what,
		"Give one SELECT that writes nothing. A name that is a word of SQL goes into brackets: [update].")
}
