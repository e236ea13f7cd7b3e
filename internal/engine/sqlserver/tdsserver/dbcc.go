package tdsserver

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Key is a foreign key: each row of Table has to be one of To.
type Key struct{ Name, Table, To string }

func listTables(s *session, _ []string, _ []any, out *tokens) {
	rows := [][]any{}
	if found := s.reach(s.database, out); found != nil {
		for _, table := range slices.Sorted(maps.Keys(found.Tables)) {
			rows = append(rows, []any{"dbo", table})
		}
		out.table([]Column{{"schema_name", NVarChar}, {"name", NVarChar}}, rows)
	}
}

func countRows(s *session, parts []string, _ []any, out *tokens) {
	if found := s.reach(s.database, out); found != nil {
		rows, there := found.Tables[parts[1]]
		if !there {
			out.errors(SQLError{208, fmt.Sprintf("Invalid object name 'dbo.%s'.", parts[1])})
			return
		}
		single(out, int64(len(rows)))
	}
}

func listKeys(s *session, _ []string, _ []any, out *tokens) {
	rows := [][]any{}
	if found := s.reach(s.database, out); found != nil {
		for _, key := range found.Keys {
			rows = append(rows, []any{"dbo", key.Table, key.Name})
		}
		out.table([]Column{{"schema_name", NVarChar}, {"table_name", NVarChar}, {"name", NVarChar}}, rows)
	}
}

// checkKey answers a row for each that points to nothing, as the server does.
func checkKey(s *session, parts []string, _ []any, out *tokens) {
	found := s.reach(s.database, out)
	if found == nil {
		return
	}
	name := strings.TrimSuffix(strings.TrimPrefix(parts[1], "[dbo].["), "]")
	at := slices.IndexFunc(found.Keys, func(k Key) bool { return k.Name == name })
	if at < 0 {
		out.errors(SQLError{2501, fmt.Sprintf("Cannot find a table or object with the name \"%s\". Check the system catalog.", parts[1])})
		return
	}
	key, rows := found.Keys[at], [][]any{}
	for _, row := range found.Tables[key.Table] {
		if !slices.Contains(found.Tables[key.To], row) {
			rows = append(rows, []any{"[dbo].[" + key.Table + "]", "[" + key.Name + "]", "[row] = '" + row + "'"})
		}
	}
	out.table([]Column{{"Table", NVarChar}, {"Constraint", NVarChar}, {"Where", NVarChar}}, rows)
}

func checkDatabase(s *session, parts []string, _ []any, out *tokens) {
	found := s.reach(parts[1], out)
	switch {
	case found == nil:
	case found.Damaged:
		const lost = "Data row (1:80:3) identified by (id = 5) with index values 'name = 'secret-of-alice''."
		out.errors(SQLError{8928, "Object ID 1, index ID 1: Page (1:5) could not be processed. See other errors for details."},
			SQLError{8955, lost}, SQLError{8955, lost}, SQLError{8955, lost}, SQLError{8955, lost},
			SQLError{8990, fmt.Sprintf("CHECKDB found 0 allocation errors and 1 consistency errors in database '%s'.", found.name)})
	default:
		out.done(0, 0)
	}
}
