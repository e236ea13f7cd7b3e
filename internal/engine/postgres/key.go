package postgres

import (
	"fmt"
	"regexp"
)

// plainKey is the definition of a key as pg_dump writes it (pg_dump.c, dumpConstraint), if it says nothing but its
// columns: the table, the constraint, the kind, the columns.
var plainKey = func() *regexp.Regexp {
	const identifier = `(?:"(?:[^"]|"")+"|[\pL_][\pL\pN_$]*)`
	return regexp.MustCompile(`^ALTER TABLE ONLY (` + identifier + `\.` + identifier + `)
    ADD CONSTRAINT (` + identifier + `) (PRIMARY KEY|UNIQUE) (\(` + identifier + `(?:, ` + identifier + `)*\));
$`)
}()

// byIndex are the two steps in which a key is made without having its table to itself for long: its index, which
// other indexes can be made beside, and the constraint, which takes that index over and is made at once. What
// they leave is the same. ok is false for what is no such key.
func (e entry) byIndex() (index, constraint entry, ok bool) {
	if e.kind != constraintKind {
		return e, e, false
	}
	parts := plainKey.FindStringSubmatch(e.definition)
	if parts == nil {
		return e, e, false
	}
	table, name, kind, columns := parts[1], parts[2], parts[3], parts[4]
	index, constraint = e, e
	index.kind = indexKind
	index.definition = fmt.Sprintf("CREATE UNIQUE INDEX %s ON %s USING btree %s;\n", name, table, columns)
	constraint.definition = fmt.Sprintf("ALTER TABLE ONLY %s\n    ADD CONSTRAINT %s %s USING INDEX %s;\n", table, name, kind, name)
	return index, constraint, true
}
