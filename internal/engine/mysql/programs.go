package mysql

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// program is something with SQL in it that does not move to another database with a table, and so is
// made again there; with the settings that its text is to be read under.
type program struct {
	kind      string
	name      string
	statement string // in the bytes of character set client
	sqlMode   string
	client    string // character_set_client
	// connection and database are collations; zone is an event's.
	connection, database, zone string
}

// The kinds, in the order in which they are made: each may use those before.
const (
	kindFunction    = "FUNCTION"
	kindProcedure   = "PROCEDURE"
	kindPackage     = "PACKAGE"
	kindPackageBody = "PACKAGE BODY"
	kindDefault     = "default"
	kindView        = "VIEW"
	kindTrigger     = "TRIGGER"
	kindEvent       = "EVENT"
)

var programKinds = []string{kindPackage, kindPackageBody, kindFunction, kindProcedure, kindDefault, kindView, kindTrigger, kindEvent}

// programNames lists what a database has of each kind but defaults.
func (s *session) programNames(ctx context.Context, database string) (map[string][]string, error) {
	found := map[string][]string{}
	for _, query := range []string{
		"select routine_type, routine_name from information_schema.routines where routine_schema = ? order by routine_name",
		"select 'VIEW', table_name from information_schema.views where table_schema = ? order by table_name",
		`select 'TRIGGER', trigger_name from information_schema.triggers where trigger_schema = ?
			order by event_object_table, action_timing, event_manipulation, action_order`,
		"select 'EVENT', event_name from information_schema.events where event_schema = ? order by event_name",
	} {
		rows, err := s.queryRows(ctx, query, database)
		if err != nil {
			return nil, classify("list what database "+quoted(database)+" has", err)
		}
		for _, row := range rows {
			found[row[0]] = append(found[row[0]], row[1])
		}
	}
	return found, nil
}

// programsOf reads the definition of everything of these kinds. The session stays in the database:
// definitions then leave its name away.
func (s *session) programsOf(ctx context.Context, database string, kinds []string) ([]program, error) {
	names, err := s.programNames(ctx, database)
	if err != nil {
		return nil, err
	}
	if err := s.exec(ctx, "USE "+quoted(database)); err != nil {
		return nil, classify("use database "+quoted(database), err)
	}
	var programs []program
	for _, kind := range kinds {
		for _, name := range names[kind] {
			p, err := s.programOf(ctx, database, kind, name)
			if err != nil {
				return nil, classify(fmt.Sprintf("read %s %s", strings.ToLower(kind), quoted(name)), err)
			}
			programs = append(programs, p)
		}
	}
	return programs, nil
}

// programOf asks for one definition. The text of programs is stored in the character set of the client that
// made them and comes as these bytes; that of views is translated.
func (s *session) programOf(ctx context.Context, database, kind, name string) (program, error) {
	if kind != kindView {
		if err := s.exec(ctx, "SET character_set_results = NULL"); err != nil {
			return program{}, err
		}
		defer func() { _ = s.exec(ctx, "SET character_set_results = utf8mb4") }()
	}
	row, err := s.showCreate(ctx, kind, name)
	if err != nil {
		return program{}, err
	}
	p := program{
		kind: kind, name: name, sqlMode: row["sql_mode"], client: row["character_set_client"],
		connection: row["collation_connection"], database: row["Database Collation"], zone: row["time_zone"],
	}
	for column, value := range row {
		if strings.HasPrefix(column, "Create ") || column == "SQL Original Statement" {
			p.statement = value
		}
	}
	if p.statement == "" {
		return p, errNotShown
	}
	if kind == kindView {
		p.client, p.statement = "utf8mb4", withoutDatabase(p.statement, database)
	}
	return p, nil
}

var errNotShown = errors.New("the server does not show it: the user needs the right to (docs/operations.md lists them)")

func (s *session) showCreate(ctx context.Context, kind, name string) (map[string]string, error) {
	rows, err := s.conn.QueryContext(ctx, "SHOW CREATE "+kind+" "+quoted(name))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	row := map[string]string{}
	for rows.Next() {
		raw, targets := make([][]byte, len(columns)), make([]any, len(columns))
		for i := range raw {
			targets[i] = &raw[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		for i, column := range columns {
			row[column] = string(raw[i])
		}
	}
	return row, rows.Err()
}

// make makes a program in the session's database, in place of one of its name.
func (s *session) make(ctx context.Context, p program) error {
	statements := []string{}
	if p.kind != kindDefault {
		statements = append(statements, "DROP "+p.kind+" IF EXISTS "+quoted(p.name))
	}
	if p.sqlMode != "" {
		statements = append(statements, "SET sql_mode = "+literal(p.sqlMode))
	} else {
		statements = append(statements, "SET sql_mode = ''")
	}
	if p.zone != "" {
		statements = append(statements, "SET time_zone = "+literal(p.zone))
	}
	if p.client != "" {
		statements = append(statements, "SET character_set_client = "+p.client+", collation_connection = "+p.connection)
	}
	if err := s.exec(ctx, append(statements, p.statement)...); err != nil {
		return classify(fmt.Sprintf("make %s %s", strings.ToLower(p.kind), quoted(p.name)), err)
	}
	// The settings go after the statement that they are for: our own statements are not to be read under them.
	return s.exec(ctx, "SET character_set_client = utf8mb4, collation_connection = utf8mb4_general_ci, sql_mode = ''")
}

var disabled = regexp.MustCompile(`(ON\s+COMPLETION\s+(?:NOT\s+)?PRESERVE\s+)DISABLE\b`)

// record writes what has to be made in the target into the staging's mark table.
func (s *session) record(ctx context.Context, staging string, enabled map[string]bool) error {
	programs, err := s.programsOf(ctx, staging, programKinds)
	if err != nil {
		return err
	}
	defaults, err := s.defaultsOf(ctx, staging)
	if err != nil {
		return err
	}
	for _, p := range slices.Concat(programs, defaults) {
		if p.kind == kindEvent && enabled[p.name] {
			p.statement = string(replaceFirst(disabled, []byte(p.statement), []byte("${1}ENABLE")))
		}
		if err := s.mark(ctx, staging, p); err != nil {
			return classify("record "+strings.ToLower(p.kind)+" "+quoted(p.name), err)
		}
	}
	return nil
}

// defaultsOf are the defaults of columns that take their values from sequences, which MariaDB keeps
// with the name of the database.
func (s *session) defaultsOf(ctx context.Context, database string) ([]program, error) {
	if !s.version.mariadb {
		return nil, nil
	}
	rows, err := s.queryRows(ctx, `select table_name, column_name, column_default from information_schema.columns
		where table_schema = ? and locate(?, column_default) > 0 order by table_name, ordinal_position`, database, "val("+quoted(database)+".")
	if err != nil {
		return nil, classify("list the defaults of columns", err)
	}
	var defaults []program
	for _, row := range rows {
		value := withoutSequences(row[2], database)
		defaults = append(defaults, program{
			kind: kindDefault, name: row[0] + "." + row[1],
			statement: "ALTER TABLE " + quoted(row[0]) + " ALTER COLUMN " + quoted(row[1]) + " SET DEFAULT " + value,
		})
	}
	return defaults, nil
}

// recorded reads the programs of these kinds from a mark table.
func (s *session) recorded(ctx context.Context, database string, kinds ...string) ([]program, error) {
	rows, err := s.queryRows(ctx, "select kind, name, statement, sql_mode, client, collation_connection, time_zone, database_collation from "+
		named(database, markTable)+" order by step")
	if err != nil {
		return nil, classify("read the mark of database "+quoted(database), err)
	}
	var programs []program
	for _, row := range rows {
		if slices.Contains(kinds, row[0]) {
			programs = append(programs, program{
				kind: row[0], name: row[1], statement: row[2], sqlMode: row[3], client: row[4], connection: row[5], zone: row[6], database: row[7],
			})
		}
	}
	return programs, nil
}
