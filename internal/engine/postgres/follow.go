package postgres

import (
	"context"
	"fmt"
	"net"
	"runtime"
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
	table := e.table()
	other := func(id int) bool { return id != table } // an index of two columns depends on its table twice
	if !tables[table] || slices.ContainsFunc(e.dependsOn, other) {
		return 0
	}
	begins := func(with string) bool { return strings.HasPrefix(e.definition, with) }
	switch {
	case e.kind == indexKind && (begins("CREATE INDEX ") || begins("CREATE UNIQUE INDEX ")):
	case e.kind == constraintKind && begins("ALTER TABLE ONLY "): // without those that inherit from it
	default:
		return 0
	}
	return table
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

// useList is what pg_restore --use-list takes.
func useList(ids []int) string {
	var list strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&list, "%d;\n", id)
	}
	return list.String()
}

// follow has done what follows the table of a batch.
func (j *job) follow(b batch) {
	for _, e := range b.followers {
		index, constraint, apart := e.byIndex()
		if !apart {
			j.tasks.add(j.definition(b, e, nil))
			continue
		}
		j.tasks.add(j.definition(b, index, j.definition(b, constraint, nil)))
	}
}

// definition is the task that defines an entry, and adds the one that can be done then.
func (j *job) definition(b batch, e entry, then *task) *task {
	return &task{size: b.size, table: b.only.table(), alone: e.alone(), do: func(ctx context.Context, j *job) error {
		err := j.define(ctx, e)
		if err == nil && then != nil {
			j.tasks.add(then)
		}
		return err
	}}
}

// oneCore has a transaction make its indexes without parallel workers, on a server that has such.
const oneCore = "SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'max_parallel_maintenance_workers';\n"

// define executes an entry's definition as pg_restore does: all of it is one transaction.
func (j *job) define(ctx context.Context, e entry) error {
	statements := e.definition
	if e.tablespace != "" {
		statements = "SET LOCAL default_tablespace = " + quoted(e.tablespace) + ";\n" + statements
	}
	if j.tasks.crowded(j.s.req.Jobs, serverCores(j.conn.PgConn().Conn().RemoteAddr())) {
		statements = oneCore + statements
	}
	// The simple protocol takes several statements, and text in the dump's encoding.
	if _, err := j.conn.PgConn().Exec(ctx, statements).ReadAll(); err != nil {
		return j.failed(ctx, "create "+strings.ToLower(e.kind)+" "+quoted(e.tag), err)
	}
	return nil
}

// serverCores is how many processors the server has if it is on this machine; 0 is not known.
func serverCores(address net.Addr) int {
	if tcp, ok := address.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		return 0
	}
	return runtime.NumCPU()
}
