package sqlite

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

const queryHint = "Give one SELECT, VALUES, WITH or EXPLAIN statement that only reads."

// Query runs one statement on a connection that SQLite opened for reading only, that may attach no other file
// (neither may VACUUM INTO), and that can not change settings of the process with a pragma.
func (e *Engine) Query(ctx context.Context, src engine.Source, statement string) (domain.QueryResult, error) {
	var result domain.QueryResult
	text, err := checked(statement)
	if err != nil {
		return result, err
	}
	ctx, cancel := context.WithTimeout(ctx, domain.QueryTimeout)
	defer cancel()
	start := time.Now()
	err = reading(ctx, src.Config.FilePath, func(db *connection) error {
		if err := db.confine(ctx); err != nil {
			return err
		}
		if err := db.read(ctx, probeTimeout); err != nil {
			return err
		}
		return db.answer(ctx, text, &result)
	})
	result.DurationMS = time.Since(start).Milliseconds()
	return result, classifyQuery(ctx, err)
}

// confine takes from the connection what could reach beyond its file, or fill the memory.
func (c *connection) confine(ctx context.Context) error {
	for limit, value := range map[int]int{sqlite3.SQLITE_LIMIT_ATTACHED: 0, sqlite3.SQLITE_LIMIT_LENGTH: domain.MaxQueryBytes} {
		if _, err := sqlite.Limit(c.Conn, limit, value); err != nil {
			return err
		}
	}
	_, err := c.ExecContext(ctx, "PRAGMA query_only = ON")
	return err
}

var (
	firstWord = regexp.MustCompile(`^(?i)(select|values|with|explain)\b`)
	// pragmaCall finds pragmas that are called as functions; harmlessPragmas are those of them that
	// only describe tables. Others may change what the whole process has, such as hard_heap_limit.
	pragmaCall = regexp.MustCompile(`(?i)pragma_\w*`)
)

var harmlessPragmas = []string{
	"pragma_table_info", "pragma_table_xinfo", "pragma_table_list", "pragma_index_list", "pragma_index_info", "pragma_index_xinfo",
	"pragma_foreign_key_list", "pragma_function_list", "pragma_collation_list", "pragma_compile_options",
}

// checked is the statement alone, if it is one that reads.
func checked(statement string) (string, error) {
	const op = "read the statement"
	text, more := firstStatement(statement)
	word := firstWord.FindString(text)
	switch {
	case more:
		return "", failure.New(failure.ConfigInvalid, op, "it is more than one statement", queryHint)
	case word == "" || strings.ContainsRune(text, 0):
		return "", failure.New(failure.ConfigInvalid, op, "it does not begin with SELECT, VALUES, WITH or EXPLAIN", queryHint)
	}
	for _, pragma := range pragmaCall.FindAllString(text, -1) {
		if !slices.Contains(harmlessPragmas, strings.ToLower(pragma)) {
			return "", failure.New(failure.ConfigInvalid, op, fmt.Sprintf("it uses %s, which may do more than read", pragma), queryHint)
		}
	}
	return text, nil
}

// bounded is a statement with so many columns put into one that reads no more rows than are answered. It makes them
// all in its first step: the driver only interrupts that one when the time is up. The plus signs, which change
// no value, keep the driver from reading the text of a column that is declared as a date.
func bounded(text string, columns int) string {
	names, values := make([]string, columns), make([]string, columns)
	for i := range names {
		names[i] = fmt.Sprintf("c%d", i)
		values[i] = "+" + names[i]
	}
	return fmt.Sprintf("WITH dataguardian_answer(%s) AS MATERIALIZED (SELECT * FROM (%s\n) LIMIT %d) SELECT %s FROM dataguardian_answer",
		strings.Join(names, ", "), text, domain.MaxQueryRows+1, strings.Join(values, ", "))
}

// firstStatement is the text up to the first semicolon that is neither in quotes nor in a comment, without comments
// before it; more reports whether there is something behind it.
func firstStatement(text string) (first string, more bool) {
	text = skipBlank(text)
	for i := 0; i < len(text); {
		switch {
		case text[i] == ';':
			return text[:i], skipBlank(strings.TrimLeft(text[i:], "; \t\r\n\f")) != ""
		case strings.ContainsRune("'\"`[", rune(text[i])):
			i += quotedLength(text[i:])
		case strings.HasPrefix(text[i:], "--"), strings.HasPrefix(text[i:], "/*"):
			i += commentLength(text[i:])
		default:
			i++
		}
	}
	return text, false
}

func skipBlank(text string) string {
	for {
		text = strings.TrimLeft(text, " \t\r\n\f")
		if !strings.HasPrefix(text, "--") && !strings.HasPrefix(text, "/*") {
			return text
		}
		text = text[commentLength(text):]
	}
}

func quotedLength(text string) int {
	end := text[0]
	if end == '[' {
		end = ']'
	}
	if i := strings.IndexByte(text[1:], end); i >= 0 { // a doubled quote begins the next quoted text
		return i + 2
	}
	return len(text)
}

func commentLength(text string) int {
	end := "\n"
	if strings.HasPrefix(text, "/*") {
		text, end = "  "+text[2:], "*/"
	}
	if i := strings.Index(text, end); i >= 0 {
		return i + len(end)
	}
	return len(text)
}

// answer describes the columns and collects the rows.
func (c *connection) answer(ctx context.Context, text string, result *domain.QueryResult) (err error) {
	explains := strings.EqualFold(firstWord.FindString(text), "explain")
	described := text
	if !explains {
		described = "SELECT * FROM (" + text + "\n) LIMIT 0"
	}
	if result.Columns, err = c.describeAnswer(ctx, described); err != nil {
		return err
	}
	if !explains {
		text = bounded(text, len(result.Columns))
	}
	rows, err := c.QueryContext(ctx, text)
	if err != nil {
		return err
	}
	return errors.Join(collect(rows, len(result.Columns), result), ctx.Err())
}

func (c *connection) describeAnswer(ctx context.Context, text string) ([]domain.SchemaColumn, error) {
	rows, err := c.QueryContext(ctx, text)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	columns := []domain.SchemaColumn{}
	for _, t := range types {
		columns = append(columns, domain.SchemaColumn{Name: t.Name(), Type: t.DatabaseTypeName(), Nullable: true})
	}
	return columns, errors.Join(rows.Err(), rows.Close())
}

func collect(rows *sql.Rows, columns int, result *domain.QueryResult) error {
	defer rows.Close()
	result.Rows = [][]any{}
	bytes := 0
	for rows.Next() {
		if len(result.Rows) == domain.MaxQueryRows || bytes >= domain.MaxQueryBytes {
			result.Truncated = true
			break
		}
		row, size, err := values(rows, columns)
		if err != nil {
			return err
		}
		result.Rows, bytes = append(result.Rows, row), bytes+size
	}
	return rows.Err()
}

// values reads one row and tells about how many bytes it has.
func values(rows *sql.Rows, count int) (row []any, size int, err error) {
	row = make([]any, count)
	into := make([]any, count)
	for i := range row {
		into[i] = &row[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, 0, err
	}
	for i, value := range row {
		row[i] = encoded(value)
		size += 8
		if text, is := row[i].(string); is {
			size += len(text)
		}
	}
	return row, size, nil
}

// exactNumber is the largest integer that every reader of JSON keeps.
const exactNumber = 1 << 53

// encoded is a value as domain.QueryResult has it.
func encoded(value any) any {
	switch v := value.(type) {
	case int64:
		if v > exactNumber || v < -exactNumber {
			return fmt.Sprint(v)
		}
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return fmt.Sprint(v)
		}
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case string:
		if !utf8.ValidString(v) {
			return strings.ToValidUTF8(v, "\uFFFD")
		}
	}
	return value
}

// classifyQuery calls what SQLite did not want the statement's fault.
func classifyQuery(ctx context.Context, err error) error {
	const op = "run the statement"
	var known *failure.Error
	switch {
	case err == nil || errors.As(err, &known):
		return failure.Wrap(failure.Unknown, op, err, "")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return failure.New(failure.Timeout, op, fmt.Sprintf("it took longer than %s", domain.QueryTimeout), "Ask for less, or add an index.")
	}
	return classifyStatement(op, err)
}

// classifyStatement tells the statement's faults from the file's.
func classifyStatement(op string, err error) error {
	switch codeOf(err) {
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE, sqlite3.SQLITE_MISMATCH:
		return failure.Wrap(failure.ConfigInvalid, op, err, queryHint)
	}
	return classify(op, err)
}

// Execute runs one statement, which may write.
func (e *Engine) Execute(ctx context.Context, src engine.Source, statement string) error {
	op := "run the statement on " + src.Config.FilePath
	if err := checkReadable(src.Config.FilePath); err != nil {
		return classify(op, err)
	}
	db, err := open(ctx, src.Config.FilePath, writable)
	if err != nil {
		return classify(op, err)
	}
	err = whileLocked(ctx, domain.QueryTimeout, func() error {
		_, err := db.ExecContext(ctx, statement)
		return err
	})
	if codeOf(err) == sqlite3.SQLITE_ERROR {
		err = failure.Wrap(failure.ConfigInvalid, op, err, "Check the statement.")
	}
	return classify(op, errors.Join(err, db.close()))
}
