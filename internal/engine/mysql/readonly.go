package mysql

import (
	"regexp"
	"strings"

	"github.com/dataguardian/dataguardian/internal/failure"
)

var (
	// reading begins the statements that read: others may end the transaction that keeps them from writing.
	reading = regexp.MustCompile(`(?i)^[\s(]*(?:SELECT|SHOW|DESCRIBE|DESC|EXPLAIN|WITH|VALUES|TABLE)\b`)
	// intoFile writes to the server's disk, which no transaction forbids.
	intoFile = regexp.MustCompile(`(?i)OUTFILE|DUMPFILE`)
	// secret words stand where the server keeps password hashes (MariaDB shows them in SHOW GRANTS too) and the statements
	// of others, or read its disk, where they are files. A user who makes backups of accounts may read all that. A name
	// can be written in many ways, with comments in it, so the words are refused wherever they stand, in a text as well.
	secret = regexp.MustCompile(`(?i)(?:^|[^0-9A-Za-z_$\x{80}-\x{10ffff}])(mysql|performance_schema|sys|processlist|load_file)(?:$|[^0-9A-Za-z_$\x{80}-\x{10ffff}])`)
	show   = regexp.MustCompile(`(?i)^[\s(]*SHOW\b`)
	// shown is what SHOW may show.
	shown = regexp.MustCompile(`(?i)^SHOW\s+(?:(?:EXTENDED\s+)?(?:FULL\s+)?(?:TABLES|COLUMNS|FIELDS)|DATABASES|SCHEMAS|INDEX|INDEXES|KEYS|TABLE\s+STATUS|TRIGGERS|EVENTS|` +
		`(?:FUNCTION|PROCEDURE|PACKAGE)\s+STATUS|ENGINES|COLLATION|CHARACTER\s+SET|CHARSET|(?:GLOBAL\s+|SESSION\s+)?STATUS|WARNINGS|ERRORS|` +
		`CREATE\s+(?:TABLE|VIEW|SEQUENCE|DATABASE|SCHEMA|FUNCTION|PROCEDURE|TRIGGER|EVENT|PACKAGE(?:\s+BODY)?))\b`)
)

// checkReads refuses a statement that could write where a transaction does not forbid it, or read what is nobody's
// data: the server's own accounts and files.
func checkReads(op, statement string) error {
	refuse := func(why, hint string) error { return failure.New(failure.ConfigInvalid, op, why, hint) }
	if !reading.MatchString(statement) || intoFile.MatchString(statement) {
		return refuse("it is not a statement that only reads", "Begin with SELECT, WITH, SHOW, DESCRIBE or EXPLAIN, and write to no file.")
	}
	if strings.Contains(statement, "/*!") || strings.Contains(statement, "/*M!") {
		return refuse("it has a comment that the server executes", "Leave /*! and /*M! away.")
	}
	if match := secret.FindStringSubmatch(statement); match != nil {
		return refuse("it has the word "+strings.ToLower(match[1])+", which stands for the server's own accounts, statements or files",
			"Ask for the datasource's own tables; a text with this word can be put together by concat().")
	}
	if show.MatchString(statement) && !shown.MatchString(strings.TrimSpace(statement)) {
		return refuse("this SHOW statement is not of those that show no secrets of the server", "SHOW takes TABLES, COLUMNS, INDEX, CREATE TABLE and the like.")
	}
	return nil
}
