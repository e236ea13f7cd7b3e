package postgres

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

var _ engine.GlobalsRestorer = (*Engine)(nil)

// maxGlobals bounds a dump of roles in bytes; a hundred thousand roles have less.
const maxGlobals = 64 << 20

const roleName = `("(?:[^"]|"")*"|[^\s;"]+)`

var (
	createRole     = regexp.MustCompile(`^CREATE ROLE ` + roleName + `;$`)
	aboutRole      = regexp.MustCompile(`^(?:ALTER|COMMENT ON|SECURITY LABEL .*ON) ROLE ` + roleName + `\s`)
	membership     = regexp.MustCompile(`^GRANT ` + roleName + ` TO ` + roleName + `[\s;]`)
	makeTablespace = regexp.MustCompile(`^CREATE TABLESPACE ` + roleName + `\s`)
	inDatabase     = regexp.MustCompile(`^ALTER ROLE ` + roleName + ` IN DATABASE `)
)

// globals are a dump of roles, taken apart.
type globals struct {
	roles       []string            // that it makes, in its order
	about       map[string][]string // statements that make and describe each
	memberships map[string][]string // of each, in others
	tablespaces []string
}

// RestoreGlobals makes the roles that the server has not, with their passwords, settings and memberships, in one
// transaction in which each that fails is undone by itself. Tablespaces, whose directories are another server's, are
// only told of, and settings of a role in one database come with that database.
func (e *Engine) RestoreGlobals(ctx context.Context, target engine.Source, _ engine.Stream, r io.Reader, tell func(done bool, what string)) error {
	text, err := io.ReadAll(io.LimitReader(&endsWith{r: r, marker: globalsEnd}, maxGlobals+1))
	if err != nil {
		return failure.Wrap(failure.ClassOf(err), "read the dump of the roles", err, "")
	}
	if len(text) > maxGlobals {
		return failure.New(failure.Unsupported, "read the dump of the roles", fmt.Sprintf("it has more than %d bytes", maxGlobals), "Run it with psql.")
	}
	conn, err := connect(ctx, target, anyDatabase)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	found := readGlobals(string(text))
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return found.apply(ctx, tx, tell) })
	return classify("restore the roles", err)
}

func readGlobals(text string) globals {
	found := globals{about: map[string][]string{}, memberships: map[string][]string{}}
	for _, statement := range statementsOf(text) {
		if match := createRole.FindStringSubmatch(statement); match != nil {
			name := unquoted(match[1])
			found.roles = append(found.roles, name)
			found.about[name] = append(found.about[name], statement)
		} else if match := membership.FindStringSubmatch(statement); match != nil {
			member := unquoted(match[2])
			found.memberships[member] = append(found.memberships[member], statement)
		} else if match := makeTablespace.FindStringSubmatch(statement); match != nil {
			found.tablespaces = append(found.tablespaces, unquoted(match[1]))
		} else if match := aboutRole.FindStringSubmatch(statement); match != nil && !inDatabase.MatchString(statement) {
			name := unquoted(match[1])
			found.about[name] = append(found.about[name], statement)
		}
	}
	return found
}

// apply makes roles first: memberships name them.
func (g globals) apply(ctx context.Context, tx pgx.Tx, tell func(done bool, what string)) error {
	existing, err := namesIn(ctx, tx, "select rolname::text from pg_roles")
	if err != nil {
		return err
	}
	var made []string
	for _, name := range g.roles {
		if slices.Contains(existing, name) {
			tell(false, "role "+quoted(name)+" exists and was left as it is")
			continue
		}
		if err := attempt(ctx, tx, g.about[name]); err == nil {
			made = append(made, name)
			tell(true, "role "+quoted(name)+" was made")
		} else if sqlState(err) == "" {
			return err
		} else {
			tell(false, "role "+quoted(name)+" was not made: "+withoutLiterals(err))
		}
	}
	for _, name := range made {
		for _, grant := range g.memberships[name] {
			if err := attempt(ctx, tx, []string{grant}); err != nil && sqlState(err) == "" {
				return err
			} else if err != nil {
				tell(false, fmt.Sprintf("role %s lacks a membership (%s): %s", quoted(name), strings.TrimSuffix(grant, ";"), withoutLiterals(err)))
			}
		}
	}
	spaces, err := namesIn(ctx, tx, "select spcname::text from pg_tablespace")
	if err != nil {
		return err
	}
	for _, name := range g.tablespaces {
		if !slices.Contains(spaces, name) {
			tell(false, "tablespace "+quoted(name)+" was not made: its directory is the old server's; make it by hand")
		}
	}
	return nil
}

// attempt runs statements of which either all or none have an effect.
func attempt(ctx context.Context, tx pgx.Tx, statements []string) error {
	return pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) error {
		for _, statement := range statements {
			if _, err := inner.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

func namesIn(ctx context.Context, tx pgx.Tx, query string) ([]string, error) {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// withoutLiterals is a server's message. One about the text of a statement may show a piece of it, which may be of a
// password.
func withoutLiterals(err error) string {
	state := sqlState(err)
	if strings.HasPrefix(state, "42") && state != "42501" && state != "42704" && state != "42710" {
		return "the server does not take its definition (SQLSTATE " + state + ")"
	}
	return failure.Message(classify("", err))
}

// statementsOf splits a script of pg_dumpall. Commands of psql and comments are left out.
func statementsOf(text string) (statements []string) {
	begin := 0
	for at := 0; at < len(text); {
		rest := text[at:]
		switch {
		case begin == at && (rest[0] == '\\' || strings.HasPrefix(rest, "--")):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				return statements
			}
			at += end + 1
			begin = at
		case begin == at && (rest[0] == '\n' || rest[0] == ' '):
			at++
			begin = at
		case rest[0] == ';':
			at++
			statements = append(statements, text[begin:at])
			begin = at
		case rest[0] == '\'' || rest[0] == '"':
			at += quotedSpan(rest, at > 0 && text[at-1] == 'E')
		default:
			at++
		}
	}
	return statements
}

// quotedSpan is how long the quoted text is that rest begins with.
func quotedSpan(rest string, escapes bool) int {
	for at := 1; at < len(rest); at++ {
		switch {
		case rest[at] == '\\' && escapes:
			at++
		case rest[at] == rest[0]: // a doubled one begins the next quoted text
			return at + 1
		}
	}
	return len(rest)
}

func unquoted(name string) string {
	if inner, is := strings.CutPrefix(name, `"`); is {
		return strings.ReplaceAll(strings.TrimSuffix(inner, `"`), `""`, `"`)
	}
	return name
}
