package mysql

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// maxName is the longest identifier in characters.
const maxName = 64

// reserved databases are the server's own.
var reserved = []string{"mysql", "information_schema", "performance_schema", "sys"}

func isReserved(name string) bool { return slices.Contains(reserved, strings.ToLower(name)) }

var tokenPattern = regexp.MustCompile(`^[0-9a-z]{4,32}$`)

// restoreNames are the databases a restore deals with.
type restoreNames struct {
	token   string
	target  string
	staging string // <target, cut>_dg_<token>
	old     string // <target, cut>_old_<token>: what was replaced, until it is dropped
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
		token: req.Token, target: req.Target,
		staging: withSuffix(base, "_dg_"+req.Token),
		old:     withSuffix(base, "_old_"+req.Token),
	}, nil
}

func checkTargetName(name string) error {
	const op = "check the target database"
	switch {
	case name == "" || strings.ContainsRune(name, 0) || !utf8.ValidString(name) || strings.HasSuffix(name, " "):
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("%q can not be the name of a database", name), "Give target_database a name.")
	case utf8.RuneCountInString(name) > maxName:
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("%q has %d characters", name, utf8.RuneCountInString(name)),
			fmt.Sprintf("Names have up to %d characters; give a shorter target_database.", maxName))
	case isReserved(name):
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("%q belongs to the server and is never replaced", name), "Give another target_database.")
	}
	return nil
}

// withSuffix cuts name so that it fits with suffix.
func withSuffix(name, suffix string) string {
	runes := []rune(name)
	return string(runes[:min(len(runes), maxName-len(suffix))]) + suffix
}
