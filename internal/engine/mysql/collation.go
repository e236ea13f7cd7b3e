package mysql

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
)

// The collations of new tables by default, of MySQL since 8.0 and of MariaDB since 11.5. Neither product, nor an older
// version, has the other's, so that without a replacement hardly a table of one could be made in the other.
const (
	familyMySQL   = "_0900_"
	familyMariaDB = "_uca1400_"
)

// unknownCollation is the server's error number.
const unknownCollation = 1273

// collations replaces those that a server does not have by the nearest that it has.
type collations struct {
	lacksMySQL, lacksMariaDB bool
	mariadb                  bool
	replaced                 map[string]string
}

// knowsCollation asks by using it: the lists of MariaDB 10.10 and later leave character sets away.
func (s *session) knowsCollation(ctx context.Context, charset, collation string) (bool, error) {
	err := s.exec(ctx, "SELECT CONVERT('' USING "+quoted(charset)+") COLLATE "+quoted(collation))
	if errorNumber(err) == unknownCollation {
		return false, nil
	}
	return err == nil, classify("look for collation "+collation, err)
}

func (s *session) collations(ctx context.Context) (*collations, error) {
	c := &collations{mariadb: s.version.mariadb, replaced: map[string]string{}}
	for family, lacks := range map[string]*bool{familyMySQL: &c.lacksMySQL, familyMariaDB: &c.lacksMariaDB} {
		known, err := s.knowsCollation(ctx, "utf8mb4", "utf8mb4"+family+"ai_ci")
		if err != nil {
			return nil, err
		}
		*lacks = !known
	}
	return c, nil
}

// nearest is a collation that the server has. What MySQL's do to spaces at the end (NO PAD) decides which texts are
// equal in a unique key, so it is kept before the order of letters is.
func (c *collations) nearest(collation string) string {
	name := strings.ToLower(collation)
	charset, _, _ := strings.Cut(name, "_")
	exact := strings.HasSuffix(name, "_cs") || strings.HasSuffix(name, "_bin")
	switch {
	case strings.Contains(name, familyMySQL) && c.lacksMySQL && !c.lacksMariaDB:
		_, ending, _ := strings.Cut(name, familyMySQL)
		if ending == "bin" {
			return charset + "_nopad_bin"
		}
		return charset + familyMariaDB + "nopad_" + ending
	case strings.Contains(name, familyMySQL) && c.lacksMySQL:
		pad := map[bool]string{true: "nopad_"}[c.mariadb]
		if exact {
			return charset + "_" + pad + "bin"
		}
		return charset + "_unicode_520_" + pad + "ci"
	case strings.Contains(name, familyMariaDB) && c.lacksMariaDB:
		pad := map[bool]string{true: "nopad_"}[c.mariadb && strings.Contains(name, "_nopad_")]
		if exact {
			return charset + "_" + pad + "bin"
		}
		return charset + "_unicode_520_" + pad + "ci"
	}
	return collation
}

var namesCollation = regexp.MustCompile("(?i)(\\b(?:COLLATE|COLLATION_CONNECTION)[ \\t]*=?[ \\t]*[`']?)(\\w+)")

// in replaces them where a statement names one.
func (c *collations) in(statement []byte) []byte {
	if c == nil || (!c.lacksMySQL && !c.lacksMariaDB) {
		return statement
	}
	return namesCollation.ReplaceAllFunc(statement, func(found []byte) []byte {
		parts := namesCollation.FindSubmatch(found)
		near := c.nearest(string(parts[2]))
		if near == string(parts[2]) {
			return found
		}
		c.replaced[string(parts[2])] = near
		return append(slices.Clone(parts[1]), near...)
	})
}

// databaseClause gives a database the character set of the backup's. A collation that has no near one here (it is of a
// newer version, or of a compiled-in character set) is replaced by the character set's own.
func (s *session) databaseClause(ctx context.Context, stream engine.Stream, replace *collations) (clause string, warnings []string, err error) {
	charset, collation := stream.Properties[propCharset], stream.Properties[propCollation]
	if charset == "" {
		return "", nil, nil
	}
	clause = " CHARACTER SET " + quoted(charset)
	with := string(replace.in([]byte("COLLATE " + collation)))
	known, err := s.knowsCollation(ctx, charset, strings.TrimPrefix(with, "COLLATE "))
	if err != nil {
		return "", nil, err
	}
	if !known {
		return clause, []string{fmt.Sprintf("the database has the default collation of %s, because the server does not have %s", charset, collation)}, nil
	}
	return clause + " " + with, nil, nil
}

// warnings tell what was replaced.
func (c *collations) warnings() []string {
	if c == nil || len(c.replaced) == 0 {
		return nil
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(c.replaced)) {
		pairs = append(pairs, fmt.Sprintf("%s by %s", name, c.replaced[name]))
	}
	return []string{"the server does not have these collations of the backup; texts are sorted and compared by the nearest: " + strings.Join(pairs, ", ")}
}
