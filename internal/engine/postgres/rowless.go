package postgres

import (
	"errors"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dataguardian/dataguardian/internal/engine/process"
)

// conditions are the names of the errors about values, as the manual of PostgreSQL has them.
var conditions = map[string]string{
	"22000": "data exception", "22001": "string data right truncation", "22002": "null value, no indicator parameter",
	"22003": "numeric value out of range", "22004": "null value not allowed", "22007": "invalid datetime format",
	"22008": "datetime field overflow", "22009": "invalid time zone displacement value", "22011": "substring error",
	"22012": "division by zero", "22013": "invalid preceding or following size", "22014": "invalid argument for ntile function",
	"22015": "interval field overflow", "22016": "invalid argument for nth_value function", "22018": "invalid character value for cast",
	"22019": "invalid escape character", "22021": "character not in repertoire", "22023": "invalid parameter value",
	"22025": "invalid escape sequence", "22026": "string data length mismatch", "22027": "trim error",
	"22030": "duplicate JSON object key value", "22032": "invalid JSON text", "22033": "invalid SQL/JSON subscript",
	"2200B": "escape character conflict", "2200C": "invalid use of escape character", "2200F": "zero length character string",
	"2200H": "sequence generator limit exceeded", "2200L": "not an XML document", "2200M": "invalid XML document", "2200N": "invalid XML content",
	"2201B": "invalid regular expression", "2201E": "invalid argument for logarithm", "2201F": "invalid argument for power function",
	"2201G": "invalid argument for width bucket function", "2201W": "invalid row count in limit clause", "2201X": "invalid row count in offset clause",
	"2202E": "array subscript error", "22P01": "floating point exception", "22P02": "invalid text representation",
	"22P03": "invalid binary representation", "22P04": "bad copy file format", "22P05": "untranslatable character",
	"23001": "restrict violation", "23502": "not null violation", "23503": "foreign key violation", "23505": "unique violation",
	"23514": "check violation", "23P01": "exclusion violation",
}

// rowless takes out of the server's answer to somebody's statement what may quote values of rows, which those who read
// executions and logs are not to see: of an error about values its condition and the names that it is about are left, of any
// other the message. What a RAISE says stays: its author wrote it to be read.
func rowless(err error) error {
	var server *pgconn.PgError
	if !errors.As(err, &server) || len(server.Code) != 5 {
		return err
	}
	shown := *server
	switch server.Code[:2] {
	case "22", "23":
		shown.Message = conditions[server.Code]
		if shown.Message == "" {
			shown.Message = map[string]string{"22": "data exception", "23": "integrity constraint violation"}[server.Code[:2]]
		}
		for _, name := range []struct{ kind, text string }{{"constraint", server.ConstraintName}, {"column", server.ColumnName}, {"table", server.TableName}} {
			if name.text != "" {
				shown.Message += ", " + name.kind + " " + quoted(name.text)
			}
		}
		shown.Detail = ""
	case "2B", "42": // name what depends on what, and what is meant
	default:
		shown.Detail = ""
	}
	shown.Hint, shown.Where, shown.InternalQuery = "", "", ""
	return &shown
}

// aboutValues reports whether an answer to a statement of our own may quote rows. An invalid parameter is one of the statement:
// its locale, its encoding.
func aboutValues(code string) bool {
	return (strings.HasPrefix(code, "22") || strings.HasPrefix(code, "23")) && code != "22023"
}

var (
	// toolSays begins what a tool says itself. What follows belongs to it: of the server's answer its detail, its context and the
	// rest of a value with line breaks, in the server's language.
	toolSays = regexp.MustCompile(`^(?:pg_[a-z]+: |HINT:)`)
	// commandWas begins the statement that a tool sent, which holds no rows.
	commandWas = regexp.MustCompile(`^Command was:`)
	// quotedValue ends a message of the server about a value.
	quotedValue = regexp.MustCompile(`(: {1,2}\p{Lu}+ ?: {1,2}[^"]*(?:"[^"]*"[^"]*)?: )["»«„].*|(: {1,2}\p{Lu}+ ?: {1,2}[^"]*\bvalue )".*" (is out of range)`)
)

// rowlessTool takes the same out of what a tool said.
func rowlessTool(err error) error {
	var exit *process.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	shown := *exit
	var kept strings.Builder
	dropping := false
	for line := range strings.Lines(exit.Stderr) {
		switch {
		case commandWas.MatchString(line):
			dropping = false
		case toolSays.MatchString(line):
			kept.WriteString(strings.TrimRight(quotedValue.ReplaceAllString(line, "${1}${2}… ${3}"), " \n") + "\n")
			dropping = true
			continue
		}
		if !dropping {
			kept.WriteString(line)
		}
	}
	shown.Stderr = strings.TrimRight(kept.String(), " \n")
	return &shown
}
