package domain

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What SQL is made of where a statement can reach another database than the one that it runs in. A quote that is not
// closed is a character like others, so that what comes after it is looked at.
var (
	// mysqlTokens are read twice, as sql_mode may have NO_BACKSLASH_ESCAPES. What is in "/*! … */" runs.
	mysqlTokens = []*regexp.Regexp{
		regexp.MustCompile(`(?s)/\*M?!\d*|\*/|/\*.*?\*/|#[^\n]*|--(?:[ \t\r][^\n]*|\n)|'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|` + "`(?:[^`]|``)*`" + `|[\w$\x{80}-\x{10FFFF}]+|\S`),
		regexp.MustCompile(`(?s)/\*M?!\d*|\*/|/\*.*?\*/|#[^\n]*|--(?:[ \t\r][^\n]*|\n)|'(?:[^']|'')*'|"(?:[^"]|"")*"|` + "`(?:[^`]|``)*`" + `|[\w$\x{80}-\x{10FFFF}]+|\S`),
	}
	sqlServerTokens = []*regexp.Regexp{
		regexp.MustCompile(`(?s)\*/|/\*.*?\*/|--[^\n]*|'(?:[^']|'')*'|"(?:[^"]|"")*"|\[(?:[^\]]|\]\])*\]|[\w$@#\x{80}-\x{10FFFF}]+|\S`),
	}
)

// NamedDatabase is the one of the databases that a statement names in front of a table, or after USE; "" is none. On MySQL,
// MariaDB and SQL Server such a statement works on that database, wherever it runs; others refuse it themselves. What
// looks like it and is not, as an alias of that name, is found too. Strings are looked into only where they may be run.
func NamedDatabase(t DatasourceType, statement string, databases ...string) string {
	tokens := sqlServerTokens
	switch {
	case isMySQL(t):
		tokens = mysqlTokens
	case t != SQLServer:
		return ""
	}
	for _, each := range tokens {
		if found := namedIn(t, each, statement, databases); found != "" {
			return found
		}
	}
	return ""
}

func namedIn(t DatasourceType, pattern *regexp.Regexp, statement string, databases []string) string {
	found := sqlTokens(slices.DeleteFunc(pattern.FindAllString(statement, -1), func(token string) bool {
		return strings.HasPrefix(token, "/*") || token == "*/" || strings.HasPrefix(token, "--") || isMySQL(t) && token[0] == '#'
	}))
	runsText := slices.ContainsFunc(found, func(token string) bool {
		return slices.Contains([]string{"EXEC", "EXECUTE", "PREPARE"}, strings.ToUpper(token))
	})
	for i, token := range found {
		name := unquoted(token)
		if strings.HasPrefix(token, "'") {
			if !runsText || len(token) < 2 {
				continue
			}
			if inside := namedIn(t, pattern, name, databases); inside != "" {
				return inside
			}
			continue
		}
		if !found.database(t, i) {
			continue
		}
		if j := slices.IndexFunc(databases, func(d string) bool { return d != "" && strings.EqualFold(d, name) }); j >= 0 {
			return databases[j]
		}
	}
	return ""
}

// sqlTokens are those of a statement without its comments.
type sqlTokens []string

func (s sqlTokens) at(i int) string {
	if i < 0 || i >= len(s) {
		return ""
	}
	return s[i]
}

// database reports whether a name at i stands where one of a database does.
func (s sqlTokens) database(t DatasourceType, i int) bool {
	switch {
	case strings.EqualFold(s.at(i-1), "USE"):
		return true
	case t == SQLServer: // schema.table has one dot, and server.database.schema.table three
		return s.at(i+1) == "." && (s.at(i+2) == "." || s.at(i+3) == ".")
	}
	return s.at(i+1) == "." && s.at(i-1) != "."
}

// unquoted is what a token means.
func unquoted(token string) string {
	if len(token) < 2 {
		return token
	}
	closing := token[len(token)-1:]
	switch token[0] {
	case '\'', '"', '`', '[':
		return strings.ReplaceAll(token[1:len(token)-1], closing+closing, closing)
	}
	return token
}

// HowToNameTables says how a statement of post_restore_sql is written that NamedDatabase finds one in.
const HowToNameTables = "it would work on that database, not on the new one that takes the target's place: write tables without their database " +
	"(SQL Server: schema.table), no alias that has its name, and '' for a quote in a string"

// ValidateNames refuses statements that name one of the databases, see NamedDatabase.
func (o SyncOptions) ValidateNames(t DatasourceType, databases ...string) Invalid {
	var v Invalid
	for i, statement := range o.PostRestoreSQL {
		if name := NamedDatabase(t, statement, databases...); name != "" {
			v.Add("post_restore_sql["+strconv.Itoa(i)+"]", "names database %q: %s", name, HowToNameTables)
		}
	}
	return v
}
