package postgres_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

// rows fills a table (id, v) with more than is loaded together with others.
const rows = "INSERT INTO %s SELECT i, md5(i::text) || repeat('y', i %% 90) FROM generate_series(%d, %d) i"

// dependent has large tables, and on them everything that depends on more than its table, or must come in a certain order.
func dependent(t *testing.T, name string) engine.Source {
	t.Helper()
	src := create(t, name, "")
	execute(t, src,
		fmt.Sprintf("COMMENT ON DATABASE %s IS 'with dependencies'", name),
		`CREATE EXTENSION pg_trgm`,
		`CREATE EXTENSION btree_gist`,
		// An index over a function that reads another table, which is small and therefore loaded late.
		`CREATE TABLE factors (id int PRIMARY KEY, factor int NOT NULL)`,
		`INSERT INTO factors VALUES (1, 3)`,
		`CREATE FUNCTION factored(id int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ DECLARE f int;
			BEGIN SELECT factor INTO STRICT f FROM public.factors WHERE factors.id = 1; RETURN f * $1; END $$`,
		`CREATE TABLE items (id int, v text NOT NULL, period int4range GENERATED ALWAYS AS (int4range(id, id + 1)) STORED)`,
		fmt.Sprintf(rows, "items", 1, 30_000),
		`ALTER TABLE items ADD CONSTRAINT items_key PRIMARY KEY (id) INCLUDE (v) WITH (fillfactor = 80)`,
		`ALTER TABLE items ADD CONSTRAINT items_late UNIQUE (v, id) DEFERRABLE INITIALLY DEFERRED`,
		`ALTER TABLE items ADD CONSTRAINT items_apart EXCLUDE USING gist (period WITH &&)`,
		`CREATE INDEX items_factored ON items (factored(id))`,
		`CREATE INDEX items_expression ON items (lower(v), (id % 7)) WHERE id > 5`,
		`ALTER INDEX items_expression ALTER COLUMN 2 SET STATISTICS 77`,
		`CREATE INDEX items_trgm ON items USING gin (v gin_trgm_ops)`,
		`CREATE INDEX items_elsewhere ON items (v DESC NULLS LAST) TABLESPACE follow_space`,
		`CREATE INDEX items_cluster ON items (v, id)`,
		`ALTER TABLE items CLUSTER ON items_cluster`,
		`CREATE UNIQUE INDEX items_identity ON items (id)`,
		`ALTER TABLE items REPLICA IDENTITY USING INDEX items_identity`,
		`COMMENT ON INDEX items_identity IS 'tells rows apart'`,
		`COMMENT ON CONSTRAINT items_key ON items IS 'the key'`,
		`CREATE STATISTICS items_statistics ON id, v FROM items`,
		// Partitions, one with partitions of its own, with an index of the whole, a foreign key to it, and one of a partition alone.
		`CREATE TABLE parts (id int NOT NULL, v text NOT NULL) PARTITION BY RANGE (id)`,
		`CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (30000)`,
		`CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (30000) TO (90000) PARTITION BY RANGE (id)`,
		`CREATE TABLE parts_2_1 PARTITION OF parts_2 FOR VALUES FROM (30000) TO (60000)`,
		`CREATE TABLE parts_2_2 PARTITION OF parts_2 FOR VALUES FROM (60000) TO (90000)`,
		`CREATE TABLE parts_rest PARTITION OF parts DEFAULT`,
		`ALTER TABLE parts ADD PRIMARY KEY (id)`,
		`CREATE INDEX ON parts (v)`,
		`CREATE INDEX ON parts_2 (v, id)`,
		fmt.Sprintf(rows, "parts", 1, 90_010),
		// Inheritance: the same column has a key in the parent, another in the child.
		`CREATE TABLE parent (id int PRIMARY KEY, v text NOT NULL)`,
		`CREATE TABLE child (PRIMARY KEY (id), UNIQUE (v)) INHERITS (parent)`,
		`CREATE INDEX ON parent (v)`,
		fmt.Sprintf(rows, "parent", 1, 25_000),
		fmt.Sprintf(rows, "child", 1, 35_000),
		// Foreign keys to a table that is loaded later, in a circle, and to partitions.
		`ALTER TABLE child ADD CONSTRAINT to_items FOREIGN KEY (id) REFERENCES parts`,
		`ALTER TABLE items ADD CONSTRAINT to_child FOREIGN KEY (id) REFERENCES child (id)`,
		`ALTER TABLE parts ADD CONSTRAINT to_itself FOREIGN KEY (id) REFERENCES parts`,
		// Things made of loaded tables, and things that would change what is loaded.
		`CREATE MATERIALIZED VIEW totals AS SELECT id % 1000 AS k, count(*) AS n, max(v) AS v FROM items GROUP BY 1`,
		`CREATE UNIQUE INDEX ON totals (k)`,
		`CREATE MATERIALIZED VIEW totals_again AS SELECT k, n FROM totals`,
		`CREATE INDEX ON totals_again (n)`,
		`CREATE VIEW grouped AS SELECT id, v FROM items GROUP BY id`, // only a primary key makes that possible
		`CREATE RULE quiet AS ON INSERT TO parent WHERE NEW.id < 0 DO INSTEAD NOTHING`,
		`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no more rows'; END $$`,
		`CREATE TRIGGER closed BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION refuse()`,
		`CREATE TRIGGER closed BEFORE INSERT ON parts FOR EACH ROW EXECUTE FUNCTION refuse()`,
		`CREATE FUNCTION refuse_commands() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no more indexes'; END $$`,
		`CREATE EVENT TRIGGER closed ON ddl_command_start WHEN TAG IN ('CREATE INDEX', 'ALTER TABLE') EXECUTE FUNCTION refuse_commands()`,
	)
	return src
}

// kept is what content does not look at.
func kept(t *testing.T, src engine.Source) []string {
	t.Helper()
	return queryStrings(t, src, `select format('%s clustered=%s identity=%s valid=%s space=%s comment=%s options=%s statistics=%s', c.oid::regclass, indisclustered, indisreplident,
			indisvalid, (select spcname from pg_tablespace s where s.oid = reltablespace), obj_description(c.oid, 'pg_class'), reloptions,
			(select array_agg(attstattarget order by attnum) from pg_attribute where attrelid = c.oid))
		from pg_index join pg_class c on c.oid = indexrelid join pg_namespace n on n.oid = relnamespace where nspname = 'public'
		union all select format('%s comment=%s', conname, obj_description(oid, 'pg_constraint')) from pg_constraint where connamespace = 'public'::regnamespace
		union all select format('%s inherits %s', inhrelid::regclass, inhparent::regclass) from pg_inherits
		union all select pg_get_ruledef(oid) from pg_rewrite
			where ev_class in (select oid from pg_class where relnamespace = 'public'::regnamespace)
		union all select definition from pg_views where schemaname = 'public'
		union all select definition || ispopulated from pg_matviews
		union all select stxname::text from pg_statistic_ext
		union all select evtname || evtevent || evttags::text from pg_event_trigger
		order by 1`)
}

func TestWhatDependsOnMoreThanItsTableIsRestored(t *testing.T) {
	execute(t, source(t, "postgres"), "SET allow_in_place_tablespaces = on", "CREATE TABLESPACE follow_space LOCATION ''")
	t.Cleanup(func() { execute(t, source(t, "postgres"), "DROP TABLESPACE follow_space") })
	src := dependent(t, "dependent")
	want, wantKept := content(t, src), kept(t, src)
	for _, jobs := range [][2]int{{1, 1}, {1, 2}, {1, 4}, {2, 2}} {
		t.Run(fmt.Sprintf("dumped by %d, restored by %d", jobs[0], jobs[1]), func(t *testing.T) {
			archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{Jobs: jobs[0]})
			target := fresh(t)
			req := archive.Request(fmt.Sprintf("ffff1%d%02d", jobs[0], jobs[1]), target)
			req.Jobs = jobs[1]
			report := enginetest.Restore(t, newEngine(), src, req, archive.Opener())
			require.Empty(t, report.Warnings)
			require.Equal(t, want, content(t, in(src, target)))
			require.Equal(t, wantKept, kept(t, in(src, target)))
		})
	}
}

func TestAnIndexIsMadeWhileAnotherTableIsLoaded(t *testing.T) {
	src := create(t, "following", "")
	execute(t, src, "COMMENT ON DATABASE following IS 'two tables'")
	for i := range 2 {
		table := fmt.Sprintf("large_%d", i)
		execute(t, src, fmt.Sprintf("CREATE TABLE %s (id int PRIMARY KEY, v text NOT NULL)", table), fmt.Sprintf(rows, table, 1, 40_000), fmt.Sprintf("CREATE INDEX ON %s (v)", table))
	}
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	target := fresh(t)
	req := archive.Request("ffff2001", target)
	req.Jobs = 2
	staging := in(src, target+"_dg_ffff2001")
	opened := make(chan struct{}, 1)
	report := enginetest.Restore(t, newEngine(), src, req, func(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
		if offset > 0 {
			select {
			case opened <- struct{}{}:
			default: // the second of the tables waits until the first has all of its own
				for queryStrings(t, staging, "select count(*)::text from pg_indexes where schemaname = 'public'")[0] != "2" {
					if ctx.Err() != nil {
						return nil, ctx.Err()
					}
					time.Sleep(5 * time.Millisecond) // there is no event for it
				}
			}
		}
		return archive.Opener()(ctx, name, offset)
	})
	require.Equal(t, 2, report.Tables)
	require.Equal(t, content(t, src), content(t, in(src, target)))
}

func TestAnIndexThatCanNotBeMadeFailsTheRestore(t *testing.T) {
	src := create(t, "not unique", "")
	execute(t, src, "CREATE TABLE large (id int, v text NOT NULL)", fmt.Sprintf(rows, "large", 1, 40_000), "CREATE INDEX large_id ON large (id)",
		"INSERT INTO large VALUES (7, 'again')",
		"UPDATE pg_index SET indisunique = true WHERE indexrelid = 'large_id'::regclass") // as a corrupt index is: it says that it is unique
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	req, before := archive.Request("ffff3001", fresh(t)), databases(t)
	_, err := newEngine().Stage(enginetest.Context(t), src, req, archive.Opener())
	require.ErrorContains(t, err, `unique violation, constraint "large_id"`)
	require.ErrorContains(t, err, `create index "large_id"`)
	require.Equal(t, before, databases(t))
}
