package mysql

import (
	"bytes"
	"context"
	"fmt"
	"regexp"

	"github.com/dataguardian/dataguardian/internal/engine"
)

var (
	aboutTable = regexp.MustCompile("(?i)^(?:(?:CREATE|DROP|ALTER)\\s+TABLE\\s+(?:IF\\s+(?:NOT\\s+)?EXISTS\\s+)?|LOCK\\s+TABLES\\s+|INSERT\\s+(?:IGNORE\\s+)?INTO\\s+|REPLACE\\s+INTO\\s+|DROP\\s+VIEW\\s+(?:IF\\s+EXISTS\\s+)?)(" + identifier + ")")
	viewName   = regexp.MustCompile("(?is)\\bVIEW\\s+(" + identifier + ")[\\s(]")
	triggerOf  = regexp.MustCompile("(?is)\\bTRIGGER\\s.*?\\sON\\s+(?:" + identifier + "\\s*\\.\\s*)?(" + identifier + ")\\s+FOR\\s+EACH\\s+ROW")
	dropEvent  = regexp.MustCompile(`(?i)^DROP\s+EVENT\b`)
)

// take has the loader pass only the chosen tables, with their triggers, and the chosen views. Routines, packages and
// sequences come along: tables and triggers may use them. Events, which act by themselves, do not.
func (l *loader) take(choice *engine.Choice) {
	if choice == nil {
		return
	}
	rewrite := l.script.statement
	l.script.statement = func(text []byte) ([]byte, error) {
		if leavesOut(choice, text) {
			_, err := checkStatement(text)
			l.first = false
			return nil, err
		}
		return rewrite(text)
	}
	l.script.wanted = func(insert []byte) bool { return !leavesOut(choice, insert) }
}

// leavesOut reports whether a statement is about something that is not chosen.
func leavesOut(choice *engine.Choice, text []byte) bool {
	head := headOf(text)
	if match := aboutTable.FindSubmatch(head); match != nil {
		return !choice.Takes(nameOf(match[1]))
	}
	if dropEvent.Match(head) {
		return true
	}
	if !anyCreate.Match(head) {
		return false
	}
	switch string(bytes.ToUpper(createOfWhat.Find(head))) {
	case kindEvent:
		return true
	case kindView:
		match := viewName.FindSubmatch(head)
		return match == nil || !choice.Takes(nameOf(match[1]))
	case kindTrigger:
		match := triggerOf.FindSubmatch(head)
		return match == nil || !choice.Takes(nameOf(match[1]))
	}
	return false
}

// nameOf is a name that may be quoted.
func nameOf(identifier []byte) string {
	if identifier[0] == '`' || identifier[0] == '"' {
		return bare(identifier)
	}
	return string(identifier)
}

// dropLooseKeys drops the foreign keys of chosen tables that point to tables which are not there, and names them.
func (s *session) dropLooseKeys(ctx context.Context, database string) (warnings []string, err error) {
	rows, err := s.queryRows(ctx, `select distinct k.table_name, k.constraint_name, k.referenced_table_name from information_schema.key_column_usage k
		where k.constraint_schema = ? and k.referenced_table_name is not null and not exists (select 1 from information_schema.tables t
			where t.table_schema = k.constraint_schema and t.table_name = k.referenced_table_name) order by 1, 2`, database)
	if err != nil {
		return nil, classify("look for foreign keys", err)
	}
	for _, row := range rows {
		if err := s.exec(ctx, "ALTER TABLE "+named(database, row[0])+" DROP FOREIGN KEY "+quoted(row[1])); err != nil {
			return warnings, classify("drop foreign key "+quoted(row[1]), err)
		}
		warnings = append(warnings, fmt.Sprintf("foreign key %s of table %s was not restored, because table %s was not chosen", quoted(row[1]), quoted(row[0]), quoted(row[2])))
	}
	return warnings, nil
}
