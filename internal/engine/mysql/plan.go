package mysql

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// The properties of a stream.
const (
	propDatabase      = "database"       // name it was dumped from
	propServerVersion = "server_version" // "10.11.19-MariaDB"
	propToolVersion   = "tool_version"   // of the dump tool
	propCharset       = "character_set"  // of the database
	propCollation     = "collation"      // of the database
	propPartial       = "partial"        // "true": only the tables of include_tables
)

// plan is what a dump holds and what people should know of it.
type plan struct {
	database   string
	properties map[string]string
	left       []string // tables and views that are left out
	warnings   []string
}

// relation is a table or a view of the database.
type relation struct {
	name, kind, engine, comment string
}

func (r relation) isView() bool { return r.kind == "VIEW" || r.kind == "SYSTEM VIEW" }

func planDump(ctx context.Context, s *session, database string, opts engine.DumpOptions) (*plan, error) {
	p := &plan{database: database, properties: map[string]string{
		propDatabase: database, propServerVersion: s.version.text,
	}}
	charset, err := charsetOf(ctx, s, database)
	if err != nil {
		return nil, err
	}
	p.properties[propCharset], p.properties[propCollation] = charset[0], charset[1]
	relations, err := relationsOf(ctx, s, database)
	if err != nil {
		return nil, err
	}
	if err := p.choose(relations, opts); err != nil {
		return nil, err
	}
	if err := p.leaveBrokenViews(ctx, s, relations); err != nil {
		return nil, err
	}
	if err := p.checkTwins(relations); err != nil {
		return nil, err
	}
	if err := p.warn(ctx, s, relations); err != nil {
		return nil, err
	}
	if err := p.warnOfUnnamed(ctx, s); err != nil {
		return nil, err
	}
	if opts.Jobs > 1 {
		p.warnings = append(p.warnings, fmt.Sprintf("parallel_jobs is %d, but the dump tools read one table after another", opts.Jobs))
	}
	return p, nil
}

// charsetOf are character set and collation of a database; it is failure.NotFound when there is none.
func charsetOf(ctx context.Context, s *session, database string) ([]string, error) {
	rows, err := s.queryRows(ctx, `select default_character_set_name, default_collation_name
		from information_schema.schemata where schema_name = ?`, database)
	if err != nil {
		return nil, classify("read the properties of the database", err)
	}
	if len(rows) == 0 {
		return nil, failure.New(failure.NotFound, "look for database "+quoted(database), "it does not exist, or the user has no right in it", hintDatabase)
	}
	return rows[0], nil
}

func relationsOf(ctx context.Context, s *session, database string) ([]relation, error) {
	rows, err := s.queryRows(ctx, `select table_name, table_type, coalesce(engine, ''), table_comment
		from information_schema.tables where table_schema = ? order by table_name`, database)
	if err != nil {
		return nil, classify("list the tables", err)
	}
	relations := make([]relation, 0, len(rows))
	for _, row := range rows {
		if row[0] != markTable { // ours
			relations = append(relations, relation{row[0], row[1], row[2], row[3]})
		}
	}
	return relations, nil
}

// choose leaves out what the job's patterns leave out: names as the shell matches them.
func (p *plan) choose(relations []relation, opts engine.DumpOptions) error {
	for _, pattern := range slices.Concat(opts.IncludeTables, opts.ExcludeTables) {
		if _, err := path.Match(pattern, ""); err != nil {
			return failure.New(failure.ConfigInvalid, "choose tables", fmt.Sprintf("%q is not a pattern", pattern), "Use a table's name, or a pattern with * and ?.")
		}
	}
	for _, pattern := range opts.IncludeTables {
		if !slices.ContainsFunc(relations, func(r relation) bool { return matches(pattern, r.name) }) {
			return failure.New(failure.ConfigInvalid, "choose tables",
				fmt.Sprintf("no table of database %q matches %q", p.database, pattern),
				"Correct include_tables: every name or pattern has to match a table.")
		}
	}
	for _, r := range relations {
		if r.kind == "SEQUENCE" { // tables take defaults from it
			continue
		}
		included := len(opts.IncludeTables) == 0 || matchesAny(opts.IncludeTables, r.name)
		if !included || matchesAny(opts.ExcludeTables, r.name) {
			p.left = append(p.left, r.name)
		}
	}
	if len(opts.IncludeTables) > 0 {
		p.properties[propPartial] = "true"
	}
	return nil
}

// matches takes a name that is written as it is for itself, whatever it has of a pattern.
func matches(pattern, name string) bool {
	matched, err := path.Match(pattern, name)
	return pattern == name || (matched && err == nil)
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, name) })
}

// leaveBrokenViews leaves out views that can not be dumped, or not be made again, because what they read is
// not there, or not in this dump. One would end the whole dump, or the whole restore.
func (p *plan) leaveBrokenViews(ctx context.Context, s *session, relations []relation) error {
	for _, r := range relations {
		if r.isView() && !slices.Contains(p.left, r.name) && strings.Contains(r.comment, "references invalid") {
			p.left = append(p.left, r.name)
			p.warnings = append(p.warnings, fmt.Sprintf("view %s is not in the backup, because the server can not read it: %s", quoted(r.name), r.comment))
		}
	}
	if len(p.left) == 0 {
		return nil
	}
	definitions, err := s.queryRows(ctx, "select table_name, view_definition from information_schema.views where table_schema = ?", p.database)
	if err != nil {
		return classify("read the views", err)
	}
	for found := true; found; {
		found = false
		for _, view := range definitions {
			missing := slices.IndexFunc(p.left, func(name string) bool { return strings.Contains(view[1], named(p.database, name)) })
			if missing >= 0 && !slices.Contains(p.left, view[0]) {
				p.warnings = append(p.warnings, fmt.Sprintf("view %s is not in the backup, because %s, which it reads, is not", quoted(view[0]), quoted(p.left[missing])))
				p.left = append(p.left, view[0])
				found = true
			}
		}
	}
	return nil
}

// checkTwins refuses a plan that leaves out a table whose name differs from another's by capitals alone: the tools' --ignore-table
// does not tell them apart, and the other one would be missing without a word.
func (p *plan) checkTwins(relations []relation) error {
	left, folded := map[string]bool{}, map[string]string{}
	for _, name := range p.left {
		left[name], folded[strings.ToLower(name)] = true, name
	}
	for _, r := range relations {
		if twin := folded[strings.ToLower(r.name)]; twin != "" && !left[r.name] {
			return failure.New(failure.ConfigInvalid, "choose tables",
				fmt.Sprintf("%s is left out and %s is not, and the dump tool does not tell them apart", quoted(twin), quoted(r.name)),
				"Leave out both or neither, or rename one. A view that the server can not read is left out by itself: repair or drop it.")
		}
	}
	return nil
}

// warnOfUnnamed tells of columns whose list of values may not come back: MariaDB keeps definitions in utf8mb3 and shows every character
// beyond that as a question mark, also to the dump tool.
func (p *plan) warnOfUnnamed(ctx context.Context, s *session) error {
	columns, err := s.queryRows(ctx, `select table_name, column_name from information_schema.columns
		where table_schema = ? and data_type in ('enum', 'set') and locate(char(63), column_type) > 0 order by 1, 2`, p.database)
	if err != nil {
		return classify("ask for the values of columns", err)
	}
	var names []string
	for _, c := range columns {
		if !slices.Contains(p.left, c[0]) {
			names = append(names, quoted(c[0]+"."+c[1]))
		}
	}
	if len(names) > 0 {
		p.warnings = append(p.warnings, "values of these columns hold a question mark, or a character of four bytes that the server shows as one; "+
			"rows with such a character come back empty there: "+strings.Join(names, ", "))
	}
	return nil
}

// warn tells what a dump in one transaction does not hold, or not consistently.
func (p *plan) warn(ctx context.Context, s *session, relations []relation) error {
	transactional, err := s.queryColumn(ctx, "select engine from information_schema.engines where transactions = 'YES'")
	if err != nil {
		return classify("list the storage engines", err)
	}
	var loose, versioned []string
	for _, r := range relations {
		switch {
		case slices.Contains(p.left, r.name) || r.isView():
		case r.kind == "SYSTEM VERSIONED":
			versioned = append(versioned, quoted(r.name))
		case r.kind == "BASE TABLE" && !slices.Contains(transactional, r.engine):
			loose = append(loose, fmt.Sprintf("%s (%s)", quoted(r.name), r.engine))
		}
	}
	if len(loose) > 0 {
		p.warnings = append(p.warnings, "these tables have no transactions: what was written to them during the backup may be in it or not: "+strings.Join(loose, ", "))
	}
	if len(versioned) > 0 {
		p.warnings = append(p.warnings, "of these system-versioned tables the backup has the current rows, not their history: "+strings.Join(versioned, ", "))
	}
	return nil
}

// ignored are lines of an option file that leave tables out.
func (p *plan) ignored() []string {
	names := append(slices.Clone(p.left), markTable)
	slices.Sort(names)
	lines := []string{"[mysqldump]"} // read by both products' tools
	for _, name := range names {
		lines = append(lines, option("ignore-table", p.database+"."+name))
	}
	return lines
}
