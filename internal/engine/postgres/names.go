package postgres

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// maxName is PostgreSQL's longest identifier in bytes (NAMEDATALEN - 1).
const maxName = 63

// reserved databases are never a restore's target: the server or its tools need them.
var reserved = []string{"template0", "template1", "postgres"}

var tokenPattern = regexp.MustCompile(`^[0-9a-z]{4,32}$`)

// restoreNames are the databases a restore deals with.
type restoreNames struct {
	target  string
	staging string // <target, cut>_dg_<token>
	old     string // <target, cut>_old_<token>: the replaced database until it is dropped
}

// scratchName begins the name of a database that only proves a backup.
const scratchName = "dataguardian_verify"

// namesOf checks the request's names. A scratch restore has no target.
func namesOf(req engine.StageRequest) (restoreNames, error) {
	const op = "name the restored database"
	if !tokenPattern.MatchString(req.Token) {
		return restoreNames{}, failure.New(failure.ConfigInvalid, op, fmt.Sprintf("the token %q is not 4 to 32 lower-case letters or digits", req.Token), "")
	}
	base := req.Target
	if req.Scratch {
		// The same in every step, also in one that knows nothing of the backup.
		base = scratchName
	} else if err := checkTargetName(req.Target); err != nil {
		return restoreNames{}, err
	}
	return restoreNames{
		target:  req.Target,
		staging: withSuffix(base, "_dg_"+req.Token),
		old:     withSuffix(base, "_old_"+req.Token),
	}, nil
}

func checkTargetName(name string) error {
	const op = "check the target database"
	switch {
	case name == "" || strings.ContainsRune(name, 0) || !utf8.ValidString(name):
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("%q can not be the name of a database", name), "Give target_database a name.")
	case len(name) > maxName:
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("%q has %d bytes", name, len(name)),
			fmt.Sprintf("PostgreSQL takes names of up to %d bytes; give a shorter target_database.", maxName))
	case slices.Contains(reserved, name):
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("%q belongs to the server and is never replaced", name), "Give another target_database.")
	}
	return nil
}

// withSuffix cuts name so that it fits with suffix, at the edge of a character.
func withSuffix(name, suffix string) string {
	room := maxName - len(suffix)
	if len(name) > room {
		name = name[:room]
		for !utf8.ValidString(name) {
			name = name[:len(name)-1]
		}
	}
	return name + suffix
}

// quoted is an identifier for SQL.
func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal is a string for the few statements that take no parameters.
func literal(value string) string {
	escaped := strings.ReplaceAll(value, `'`, `''`)
	if strings.Contains(escaped, `\`) {
		return ` E'` + strings.ReplaceAll(escaped, `\`, `\\`) + `'`
	}
	return `'` + escaped + `'`
}

// The mark is the last line of a database's comment. On the staging it says that everything is
// loaded; on the target, that this restore put it there. It is what makes a repeated Promote know
// where an earlier one got to, and a Promote without a staging not claim success.
const markFormat = "Restored by DataGuardian (restore %s)"

var markPattern = regexp.MustCompile(`\n?Restored by DataGuardian \(restore [0-9a-z]+\)$`)

func withMark(comment, token string) string {
	mark := fmt.Sprintf(markFormat, token)
	if comment = withoutMark(comment); comment != "" {
		return comment + "\n" + mark
	}
	return mark
}

func withoutMark(comment string) string { return markPattern.ReplaceAllString(comment, "") }

func hasMark(comment, token string) bool {
	return strings.HasSuffix(comment, fmt.Sprintf(markFormat, token))
}
