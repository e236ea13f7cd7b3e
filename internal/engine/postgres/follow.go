package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

const (
	indexKind      = "INDEX"
	constraintKind = "CONSTRAINT"
)

// followed is the table that an entry may follow at once, 0 none: an index, or a constraint with an index of its
// own, of a table that the dump defines, that needs nothing but that table. One that uses a function
// of the dump, say, waits until all data is there, because the function may read another table.
func (e entry) followed(tables map[int]bool) int {
	if len(e.dependsOn) != 1 || !tables[e.dependsOn[0]] {
		return 0
	}
	begins := func(with string) bool { return strings.HasPrefix(e.definition, with) }
	switch {
	case e.kind == indexKind && (begins("CREATE INDEX ") || begins("CREATE UNIQUE INDEX ")):
	case e.kind == constraintKind && begins("ALTER TABLE ONLY "): // without those that inherit from it
	default:
		return 0
	}
	return e.dependsOn[0]
}

// alone reports whether an entry takes its table for itself, as ALTER TABLE does. The definition of an index
// may have one behind it, and would then wait for an index that is made beside it while that waits for it.
func (e entry) alone() bool {
	return e.kind == constraintKind || strings.Count(e.definition, ";\n") > 1
}

// settle gives each table that is a batch by itself what follows it, and takes that out of what comes later. The
// data of a table that goes through another one says nothing of when that table has all of its rows.
func (c *contents) settle(batches []batch) {
	early := map[int]bool{}
	for i, b := range batches {
		table := b.only.table()
		if _, direct := b.only.copyStatement(c.tables[table]); !direct {
			continue
		}
		batches[i].followers = c.mayFollow[table]
		delete(c.mayFollow, table)
		for _, e := range batches[i].followers {
			early[e.id] = true
		}
	}
	c.later = slices.DeleteFunc(c.later, func(id int) bool { return early[id] })
}

// laterList is what pg_restore --use-list takes for all that is left when the data is loaded.
func (c *contents) laterList() string {
	var list strings.Builder
	for _, id := range c.later {
		fmt.Fprintf(&list, "%d;\n", id)
	}
	return list.String()
}

// follow has done what follows the table of a batch.
func (j *job) follow(b batch) {
	for _, e := range b.followers {
		j.tasks.add(&task{size: b.size, table: b.only.table(), alone: e.alone(), do: func(ctx context.Context, j *job) error { return j.define(ctx, e) }})
	}
}

// define executes an entry's definition as pg_restore does: all of it is one transaction.
func (j *job) define(ctx context.Context, e entry) error {
	statements := []string{e.definition}
	if e.tablespace != "" {
		statements = []string{"SET default_tablespace = " + quoted(e.tablespace), e.definition, "SET default_tablespace = ''"}
	}
	for _, statement := range statements {
		// The simple protocol takes several statements, and text in the dump's encoding.
		if _, err := j.conn.PgConn().Exec(ctx, statement).ReadAll(); err != nil {
			return j.failed(ctx, "create "+strings.ToLower(e.kind)+" "+quoted(e.tag), err)
		}
	}
	return nil
}
