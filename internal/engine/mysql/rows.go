package mysql

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
)

var (
	_ engine.RowCounter = (*Engine)(nil)
	_ engine.KeyChecker = (*Engine)(nil)
	_ engine.Identifier = (*Engine)(nil)
)

// rowCount counts the rows of a dump as they pass. MariaDB's tools write one a line: a line break in a value is escaped.
// Those of MySQL write all of an INSERT in one line, where they are told by their parentheses. No other consistent
// view is to be had: the tools share theirs with nobody.
type rowCount struct {
	rows    map[string]int64
	table   string
	counted int64 // rows of table that are not in rows yet
	unknown bool  // an INSERT was of another form

	depth   int  // of parentheses, in rows that are not a line each
	quoted  bool // in a text
	escaped bool // the next character of it is taken as it is
}

var insertInto = regexp.MustCompile("(?:INSERT|REPLACE) (?:IGNORE )?INTO `((?:[^`]|``)+)`")

// begin takes the header of an INSERT.
func (c *rowCount) begin(header []byte) {
	c.settle()
	found := insertInto.FindSubmatch(header)
	if found == nil || c.open() {
		c.unknown = true
		return
	}
	c.table = strings.ReplaceAll(string(found[1]), "``", "`")
}

// open reports whether a row has not ended: then what was counted means nothing.
func (c *rowCount) open() bool { return c.depth != 0 || c.quoted }

// within takes a part of the rows of an INSERT that are not a line each. In a text the tools escape quotes with a
// backslash; a quote that is doubled ends one text and begins the next.
func (c *rowCount) within(p []byte) {
	for _, b := range p {
		switch {
		case c.escaped:
			c.escaped = false
		case c.quoted:
			c.escaped, c.quoted = b == '\\', b != '\''
		case b == '\'':
			c.quoted = true
		case b == '(':
			if c.depth++; c.depth == 1 {
				c.row()
			}
		case b == ')':
			c.depth--
		}
	}
}

func (c *rowCount) row() { c.counted++ }

// settle adds what was counted to rows.
func (c *rowCount) settle() {
	if c.counted == 0 {
		return
	}
	if c.rows == nil {
		c.rows = map[string]int64{}
	}
	c.rows[c.table] += c.counted
	c.counted = 0
}

// countRows records the rows of a dump that has been read to its end.
func (r *recutter) countRows(properties map[string]string) {
	if count := r.script.cuts.count; !count.unknown && !count.open() {
		rows := count.rows
		if rows == nil {
			rows = map[string]int64{}
		}
		engine.SetRows(properties, rows)
	}
}

// RecordedRows reads what Dump counted. A table without rows is not in it.
func (e *Engine) RecordedRows(streams []engine.Stream) (map[string]int64, bool, error) {
	stream, err := mainStream(streams)
	if err != nil {
		return nil, false, err
	}
	return engine.RowsOf(stream)
}

// CountRows counts the rows of every table but the mark of a restore. Tables whose rows a dump does not have
// (of engines that keep them elsewhere) count as not comparable.
func (e *Engine) CountRows(ctx context.Context, src engine.Source) (map[string]int64, error) {
	s, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return nil, err
	}
	defer s.close()
	const op = "count the restored rows"
	tables, err := s.queryRows(ctx, `select table_name, coalesce(engine, '') from information_schema.tables
		where table_schema = ? and table_type in ('BASE TABLE', 'SYSTEM VERSIONED') and table_name <> ?`, src.Config.Database, markTable)
	if err != nil {
		return nil, classify(op, err)
	}
	rows := make(map[string]int64, len(tables))
	for _, table := range tables {
		name, kind := table[0], strings.ToUpper(table[1])
		if kind == "MEMORY" || kind == "FEDERATED" || kind == "BLACKHOLE" || kind == "MRG_MYISAM" {
			rows[name] = -1
			continue
		}
		if rows[name], err = queryOne[int64](ctx, s, "select count(*) from "+named(src.Config.Database, name)); err != nil {
			return nil, classify(op, err)
		}
	}
	return rows, nil
}

// mostBroken is how many foreign keys are named.
const mostBroken = 10

// BrokenKeys looks for rows whose foreign key points to nothing: the client loads with the checks switched off.
func (e *Engine) BrokenKeys(ctx context.Context, src engine.Source) (broken []string, looked int, err error) {
	s, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return nil, 0, err
	}
	defer s.close()
	const op = "check the foreign keys"
	keys, err := s.queryRows(ctx, `select constraint_name, table_name, column_name, referenced_table_name, referenced_column_name
		from information_schema.key_column_usage
		where table_schema = ? and referenced_table_schema = ? and referenced_table_name is not null
		order by table_name, constraint_name, ordinal_position`, src.Config.Database, src.Config.Database)
	if err != nil {
		return nil, 0, classify(op, err)
	}
	for i := 0; i < len(keys); {
		end := i + 1
		for end < len(keys) && keys[end][0] == keys[i][0] && keys[end][1] == keys[i][1] {
			end++
		}
		looked++
		found, err := queryOne[int](ctx, s, brokenKeyQuery(src.Config.Database, keys[i:end]))
		if err != nil {
			return broken, looked, classify(op, err)
		}
		if found > 0 && len(broken) < mostBroken {
			broken = append(broken, fmt.Sprintf("%s of table %s to %s", keys[i][0], keys[i][1], keys[i][3]))
		}
		i = end
	}
	return broken, looked, nil
}

// brokenKeyQuery answers 1 if there is a row with all columns of the key set that points to nothing.
func brokenKeyQuery(database string, columns [][]string) string {
	var join, set []string
	for _, c := range columns {
		join = append(join, "p."+quoted(c[4])+" = c."+quoted(c[2]))
		set = append(set, "c."+quoted(c[2])+" is not null")
	}
	return "select exists (select 1 from " + named(database, columns[0][1]) + " c where " + strings.Join(set, " and ") +
		" and not exists (select 1 from " + named(database, columns[0][3]) + " p where " + strings.Join(join, " and ") + "))"
}

// Identity is the server's own id, where it has one, with the database's name.
func (e *Engine) Identity(ctx context.Context, src engine.Source) (string, error) {
	s, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return "", err
	}
	defer s.close()
	for _, variable := range []string{"server_uuid", "server_uid"} {
		found, err := s.queryRows(ctx, "SHOW GLOBAL VARIABLES LIKE '"+variable+"'")
		if err == nil && len(found) == 1 && len(found[0]) == 2 && found[0][1] != "" {
			return found[0][1] + "/" + src.Config.Database, nil
		}
	}
	return "", nil
}
