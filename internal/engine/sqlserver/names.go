package sqlserver

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// maxName is SQL Server's longest identifier in UTF-16 units (sysname); maxFileBase keeps the names of
// database files short enough for every file system.
const (
	maxName     = 128
	maxFileBase = 40
)

// reserved databases are never a restore's target, nor backed up with the others: the server needs them.
var reserved = []string{"master", "tempdb", "model", "msdb", "distribution", "mssqlsystemresource"}

var tokenPattern = regexp.MustCompile(`^[0-9a-z]{4,32}$`)

// restoreNames are the databases a restore deals with.
type restoreNames struct {
	token   string
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
		base = scratchName
	} else if err := checkTargetName(req.Target); err != nil {
		return restoreNames{}, err
	}
	return restoreNames{
		token:   req.Token,
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
	case units(name) > maxName:
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("%q has %d characters", name, units(name)),
			fmt.Sprintf("SQL Server takes names of up to %d characters; give a shorter target_database.", maxName))
	case slices.Contains(reserved, strings.ToLower(name)):
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("%q belongs to the server and is never replaced", name), "Give another target_database.")
	}
	return nil
}

// units is the length as SQL Server counts.
func units(name string) int { return len(utf16.Encode([]rune(name))) }

// withSuffix cuts name so that it fits with suffix, at the edge of a character.
func withSuffix(name, suffix string) string {
	runes := []rune(name)
	for units(string(runes)) > maxName-len(suffix) {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + suffix
}

// quoted is an identifier for SQL.
func quoted(name string) string { return "[" + strings.ReplaceAll(name, "]", "]]") + "]" }

// literal is a string for the statements that take no parameters.
func literal(value string) string { return "N'" + strings.ReplaceAll(value, "'", "''") + "'" }

var notInFileNames = regexp.MustCompile(`[^0-9A-Za-z-]+`)

// fileMark is in the names of all files of a database that this restore loaded. They keep it when the
// database gets another name: it tells that a database is the restore's, even one that can not be opened.
func (n restoreNames) fileMark() string { return "_dg_" + n.token + "_" }

// fileBase begins the names of the restored database's files.
func (n restoreNames) fileBase() string {
	base := strings.Trim(notInFileNames.ReplaceAllString(n.target, "_"), "_")
	return base[:min(len(base), maxFileBase)] + n.fileMark()
}

// join is a path as the server writes it, whose system need not be the worker's.
func join(directory, name string) string {
	separator := "/"
	if strings.Contains(directory, `\`) || (len(directory) >= 2 && directory[1] == ':') {
		separator = `\`
	}
	return strings.TrimRight(directory, `/\`) + separator + name
}
