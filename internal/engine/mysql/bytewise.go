package mysql

import (
	"bytes"
	"context"
	"regexp"
	"slices"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// MariaDB's dump tool asks of every byte of a text which character it belongs to, so as not to escape a part of one: that is most of
// what it does all the time. In UTF-8 no part of a longer character looks like one that is escaped. So where a database has no text but UTF-8, and
// no column that --hex-blob is for, its tool reads the bytes as they are stored (character set binary), and what it writes
// is what it writes for utf8mb4, but for the one statement that names the character set (decisions/0060).

// utf8Charsets are the character sets whose texts are UTF-8 as they are stored.
var utf8Charsets = []string{"utf8mb4", "utf8mb3", "utf8", "ascii"}

// bytewiseTypes are the types of columns whose values come as text in the character set of the column, or in ASCII.
var bytewiseTypes = []string{
	"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double",
	"date", "time", "datetime", "timestamp", "year",
	"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json", "uuid", "inet4", "inet6",
}

// isBytewise reports whether a dump of the database can be made bytewise. The dump's own definitions of tables are looked at again:
// they may be changed in between.
func (e *Engine) isBytewise(ctx context.Context, s *session, dumper tool, src engine.Source, opts engine.DumpOptions) (bool, error) {
	if !s.version.mariadb || !dumper.version.mariadb || len(opts.ExtraArgs) > 0 {
		return false, nil // measured and compared with MariaDB's own tool only
	}
	if _, changed := e.changed.Load(placeOf(src)); changed {
		return false, nil
	}
	const tables = "information_schema.tables t where t.table_schema = ? and t.table_type in ('BASE TABLE', 'SYSTEM VERSIONED') and t.table_name <> ?"
	database := src.Config.Database
	// A table of InnoDB that is rebuilt between its definition and its rows ends a dump; others are read as they are by then.
	charsets, err := s.queryColumn(ctx, `select distinct if(t.engine = 'InnoDB', coalesce(substring_index(t.table_collation, '_', 1), ''), '') from `+tables, database, markTable)
	if err != nil {
		return false, classify("ask for the character sets of the tables", err)
	}
	columns, err := s.queryRows(ctx, `select distinct c.data_type, coalesce(c.character_set_name, 'ascii') from information_schema.columns c
		where c.table_schema = ? and c.table_name in (select t.table_name from `+tables+")", database, database, markTable)
	if err != nil {
		return false, classify("ask for the character sets of the columns", err)
	}
	for _, column := range columns {
		if !slices.Contains(bytewiseTypes, column[0]) {
			return false, nil
		}
		charsets = append(charsets, column[1])
	}
	return !slices.ContainsFunc(charsets, func(c string) bool { return !slices.Contains(utf8Charsets, c) }), nil
}

// placeOf tells databases apart.
func placeOf(src engine.Source) string { return address(src.Config) + "/" + src.Config.Database }

// bytewise makes a dump in character set binary one in utf8mb4.
type bytewise struct {
	named   bool // the statement that names the character set has passed
	changed bool // a table that can not be dumped so was met
}

var (
	nameBinary   = []byte("SET NAMES binary")
	nameUTF8     = []byte("SET NAMES utf8mb4")
	quotedParts  = regexp.MustCompile("(?s)`(?:[^`]|``)*`|'(?:[^'\\\\]|\\\\.|'')*'|\"(?:[^\"\\\\]|\\\\.|\"\")*\"")
	columnTypes  = regexp.MustCompile("(?m)^  ` (\\w+)")
	charsetNames = regexp.MustCompile(`\b(?:CHARACTER SET |CHARSET=)(\w+)`) // as the server writes them of columns and tables; in expressions it writes small letters
)

// statement is a script's.
func (b *bytewise) statement(text []byte) ([]byte, error) {
	text, err := checkStatement(text)
	if err != nil {
		return nil, err
	}
	head := headOf(text)
	switch {
	case !b.named && bytes.HasPrefix(head, nameBinary):
		b.named = true
		return bytes.Replace(text, nameBinary, nameUTF8, 1), nil
	case createTable.Match(head) && !isUTF8Table(text):
		b.changed = true
		return nil, errTableChanged
	}
	return text, nil
}

var errTableChanged = failure.New(failure.Unknown, "follow the dump",
	"a table got a column of another character set, or a binary one, as the dump began", "Nothing has to be done: the next try takes it into account.")

// isUTF8Table is isBytewise of a table by its definition.
func isUTF8Table(definition []byte) bool {
	plain := quotedParts.ReplaceAll(definition, []byte("`"))
	for _, found := range columnTypes.FindAllSubmatch(plain, -1) {
		if !slices.Contains(bytewiseTypes, string(found[1])) {
			return false
		}
	}
	for _, found := range charsetNames.FindAllSubmatch(plain, -1) {
		if !slices.Contains(utf8Charsets, string(found[1])) {
			return false
		}
	}
	return true
}

// end reports whether the dump names its character set: without that its texts would be read as something else.
func (b *bytewise) end() error {
	if !b.named {
		return damaged("it does not name its character set")
	}
	return nil
}
