package mysql

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Query runs one statement in a read-only transaction. What of its answer is not told is not read either.
func (e *Engine) Query(ctx context.Context, src engine.Source, statement string) (domain.QueryResult, error) {
	if err := checkReads("run the query", statement); err != nil {
		return domain.QueryResult{}, err
	}
	// The server's own limit ends it first; this one is for a server that does not answer.
	ctx, cancel := context.WithTimeout(ctx, e.queryTimeout+connectTimeout)
	defer cancel()
	s, exceeded, err := connectBounded(ctx, src, src.Config.Database)
	if err != nil {
		return domain.QueryResult{}, err
	}
	defer s.close()
	limit := fmt.Sprintf("SET SESSION max_execution_time = %d", e.queryTimeout.Milliseconds())
	if s.version.mariadb {
		limit = fmt.Sprintf("SET SESSION max_statement_time = %.3f", e.queryTimeout.Seconds())
	}
	if err := s.exec(ctx, limit, "SET SESSION TRANSACTION READ ONLY", "START TRANSACTION READ ONLY"); err != nil {
		return domain.QueryResult{}, classify("begin a read-only transaction", err)
	}
	start := time.Now()
	result, err := s.answer(ctx, statement)
	if err != nil && exceeded.Load() {
		err = tooWide("run the query")
	}
	result.DurationMS = time.Since(start).Milliseconds()
	return result, err
}

func (s *session) answer(ctx context.Context, statement string) (domain.QueryResult, error) {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	rows, err := s.conn.QueryContext(reading, statement)
	if err != nil {
		return domain.QueryResult{}, classifyQuery(err)
	}
	defer func() {
		stop() // before: Close reads an answer to its end, and this one may have none
		_ = rows.Close()
	}()
	return readResult(rows)
}

// classifyQuery takes what the server has against a statement for the statement's fault.
func classifyQuery(err error) error {
	const op = "run the query"
	if number := errorNumber(err); number != 0 {
		if _, known := verdicts[number]; !known || number == 1064 {
			return failure.Wrap(failure.ConfigInvalid, op, rowless(err), "Correct the statement.")
		}
	}
	return classify(op, err)
}

func readResult(rows *sql.Rows) (domain.QueryResult, error) {
	result := domain.QueryResult{Columns: []domain.SchemaColumn{}, Rows: [][]any{}}
	types, err := rows.ColumnTypes()
	if err != nil {
		return result, classifyQuery(err)
	}
	for _, t := range types {
		nullable, known := t.Nullable()
		result.Columns = append(result.Columns, domain.SchemaColumn{
			Name: t.Name(), Type: strings.ToLower(t.DatabaseTypeName()), Nullable: nullable || !known,
		})
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
			return result, classifyQuery(err)
		}
		for i, t := range types {
			values[i] = jsonValue(values[i], t.DatabaseTypeName())
			if text, is := values[i].(string); is {
				bytes += len(text)
			}
			bytes += 8
		}
		result.Rows = append(result.Rows, values)
	}
	return result, classifyQueryEnd(rows.Err())
}

func classifyQueryEnd(err error) error {
	if err == nil {
		return nil
	}
	return classifyQuery(err)
}

// exact is the largest integer up to which JSON's numbers hold every one.
const exact = 1 << 53

// jsonValue is a value as domain.QueryResult has it.
func jsonValue(value any, databaseType string) any {
	switch v := value.(type) {
	case int64:
		if v > exact || v < -exact {
			return fmt.Sprint(v)
		}
	case uint64:
		if v > exact {
			return fmt.Sprint(v)
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
	case []byte:
		switch databaseType {
		case "BINARY", "VARBINARY", "BLOB", "TINYBLOB", "MEDIUMBLOB", "LONGBLOB", "BIT", "GEOMETRY":
			return base64.StdEncoding.EncodeToString(v)
		}
		if !utf8.Valid(v) {
			return base64.StdEncoding.EncodeToString(v)
		}
		return string(v)
	}
	return value
}

// Execute runs one statement of a hook, which may write.
func (e *Engine) Execute(ctx context.Context, src engine.Source, statement string) error {
	s, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return err
	}
	defer s.close()
	return classify("run the statement", s.exec(ctx, statement))
}
