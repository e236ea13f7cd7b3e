package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// attachIndexKind is the entry that makes the index of a partition a part of its table's.
const attachIndexKind = "INDEX ATTACH"

// step is one run of pg_restore over some of the entries.
type step struct {
	name   string
	ids    []int // dump ids
	serial bool  // by one job
}

// steps are the runs that what comes later takes. Where tables have partitions it is three: what the parts of their indexes are made
// of, their putting together by one job, and the rest. The server takes an index with parts for whole when it gets its last part, and
// sees only what is committed: of two jobs, the one that completes a part and the one that puts that part into the index above
// it, each may miss what the other does, and the index above stays invalid for good, with no error.
func (c contents) steps() []step {
	later := make(map[int]bool, len(c.later))
	for _, id := range c.later {
		later[id] = true
	}
	entries, attached, parts := make(map[int]entry, len(c.all)), map[int]bool{}, map[int]bool{}
	for _, e := range c.all {
		entries[e.id] = e
	}
	var need func(id int)
	need = func(id int) {
		for _, on := range entries[id].dependsOn {
			if later[on] && !parts[on] && entries[on].kind != attachIndexKind {
				parts[on] = true
				need(on)
			}
		}
	}
	for id := range later {
		if entries[id].kind == attachIndexKind {
			attached[id] = true
			need(id)
		}
	}
	if len(attached) == 0 {
		return withoutEmpty(step{name: "later", ids: c.later})
	}
	first, second, third := step{name: "parts"}, step{name: "attach", serial: true}, step{name: "later"}
	for _, id := range c.later { // each in the order of the dump
		switch {
		case parts[id]:
			first.ids = append(first.ids, id)
		case attached[id]:
			second.ids = append(second.ids, id)
		default:
			third.ids = append(third.ids, id)
		}
	}
	return withoutEmpty(first, second, third)
}

func withoutEmpty(all ...step) (steps []step) {
	for _, s := range all {
		if len(s.ids) > 0 {
			steps = append(steps, s)
		}
	}
	return steps
}

// invalidIndexes are the indexes of tables with partitions that lack the index of a partition.
func invalidIndexes(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	const op = "look for indexes that are not valid"
	rows, err := conn.Query(ctx, `select format('%I.%I', nspname, relname) from pg_index join pg_class c on c.oid = indexrelid join pg_namespace n on n.oid = relnamespace
		where relkind = 'I' and not indisvalid order by 1`)
	if err != nil {
		return nil, classify(op, err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return names, classify(op, err)
}
