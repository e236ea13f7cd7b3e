package databases

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
)

const (
	databasePrefix = "db/"
	globalsPrefix  = "globals/"
)

// streamName is the name in the backup of a stream of one database. What is special in the database's
// name is percent-encoded, so that it ends at the next slash.
func streamName(database, stream string) string {
	return databasePrefix + url.PathEscape(database) + "/" + stream
}

// split takes a stream's name apart. A stream of the globals has no database.
func split(name string) (database, stream string, ok bool) {
	if rest, is := strings.CutPrefix(name, globalsPrefix); is {
		return "", rest, true
	}
	rest, is := strings.CutPrefix(name, databasePrefix)
	if !is {
		return "", "", false
	}
	escaped, stream, found := strings.Cut(rest, "/")
	database, err := url.PathUnescape(escaped)
	return database, stream, found && err == nil && database != ""
}

// Names lists the databases that the streams of a backup belong to, sorted; none for a backup of one
// database.
func Names(streams []engine.Stream) []string {
	var names []string
	for _, s := range streams {
		if database, _, ok := split(s.Name); ok && database != "" {
			names = append(names, database)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// of are the streams of one database, with the names its engine gave them.
func of(streams []engine.Stream, database string) []engine.Stream {
	var own []engine.Stream
	for _, s := range streams {
		if owner, name, ok := split(s.Name); ok && owner == database && !strings.HasPrefix(s.Name, globalsPrefix) {
			s.Name = name
			own = append(own, s)
		}
	}
	return own
}

// tokenOf makes the token of a restore's staging of one database: two of the same restore on the same
// server must not have the same.
func tokenOf(token, database string) string {
	sum := sha256.Sum256([]byte(token + "/" + database))
	return hex.EncodeToString(sum[:4])
}
