package mongodb

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// maxName is MongoDB's longest database name in bytes.
const maxName = 63

// scratchName begins the name of a database that only proves a backup.
const scratchName = "dataguardian_verify"

// marksName is the collection that says which restore a database is the result of. It stays.
const marksName = "dataguardian_restore"

var (
	tokenPattern = regexp.MustCompile(`^[0-9a-z]{4,32}$`)
	// ownPattern are the names of collections that a restore has loaded and not yet renamed.
	ownPattern = regexp.MustCompile(`^dg_[0-9a-z]{4,32}_[0-9a-f]{8}_`)
)

// restoreNames are the names a restore deals with.
type restoreNames struct {
	database string // that is loaded into: the target, or a scratch database
	own      string // begins the names of all collections of this restore until they are renamed; "" in a scratch database
}

func namesOf(req engine.StageRequest) (restoreNames, error) {
	if !tokenPattern.MatchString(req.Token) {
		return restoreNames{}, failure.New(failure.ConfigInvalid, "name the restored database",
			fmt.Sprintf("the token %q is not 4 to 32 lower-case letters or digits", req.Token), "")
	}
	if req.Scratch {
		return restoreNames{database: scratchName + "_" + req.Token[:min(len(req.Token), 32)]}, nil
	}
	return restoreNames{database: req.Target, own: "dg_" + req.Token + "_"}, checkTargetName(req.Target)
}

func checkTargetName(name string) error {
	op := "check the target database"
	switch {
	case name == "" || len(name) > maxName || !utf8.ValidString(name) || strings.ContainsAny(name, "/\\. \"$*<>:|?\x00"):
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("%q can not be the name of a database", name),
			`Give target_database a name of 1 to 63 bytes without spaces and /\."$*<>:|?`)
	case slices.Contains(serverDatabases, name):
		return failure.New(failure.ConfigInvalid, op, name+" is the server's own and never replaced", "Restore into another target_database.")
	}
	return nil
}

// isServers reports whether a collection is the server's own.
func isServers(name string) bool { return strings.HasPrefix(name, "system.") }

// isOwn reports whether a collection belongs to a restore of DataGuardian.
func isOwn(name string) bool { return name == marksName || ownPattern.MatchString(name) }
