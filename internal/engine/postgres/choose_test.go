package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// relations lists tables, views and sequences with how many rows each has.
func relations(t *testing.T, src engine.Source) (found []string) {
	t.Helper()
	for _, name := range queryStrings(t, src, `select format('%I.%I', nspname, relname) from pg_class c join pg_namespace n on n.oid = relnamespace
		where relkind in ('r', 'p', 'm', 'v', 'S') and nspname !~ '^pg_' and nspname <> 'information_schema' order by 1`) {
		found = append(found, name+" "+queryStrings(t, src, "select count(*)::text from "+name)[0])
	}
	return found
}

func TestChosenTablesAreRestoredWithWhatTheyNeed(t *testing.T) {
	src := newSample(t, "choices")
	execute(t, src,
		"CREATE TABLE shared_a (id int DEFAULT nextval('ticket'), o int REFERENCES sales.orders)", "INSERT INTO shared_a (o) VALUES (1), (2)",
		"CREATE TABLE heir (more text) INHERITS (no_rows)", "INSERT INTO heir VALUES (1, 'x')", "INSERT INTO no_rows VALUES (7)",
		"CREATE PUBLICATION everything FOR ALL TABLES")
	for jobs := range 2 {
		archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{Jobs: 1 + jobs})
		for name, c := range map[string]struct {
			include []string
			want    []string
			warns   string
		}{
			"by its name":                       {[]string{"customers"}, []string{"sales.customers 3001", "sales.customers_id_seq 1"}, "large objects"},
			"with its schema":                   {[]string{"sales.orders"}, []string{"sales.orders 5000", "sales.orders_id_seq 1"}, "large objects"},
			"with partitions":                   {[]string{"measurements"}, []string{"public.measurements 500", "public.measurements_2025 213", "public.measurements_rest 287"}, "large objects"},
			"a partition alone":                 {[]string{"measurements_rest"}, []string{"public.measurements 287", "public.measurements_rest 287"}, "without its rows"},
			"its default is another's sequence": {[]string{"shared_a"}, []string{"public.shared_a 2", "public.ticket 1"}, "large objects"},
			"what it inherits from":             {[]string{"heir"}, []string{"public.heir 1", "public.no_rows 1"}, "without its rows"},
			"a view and its tables":             {[]string{"sales.paid"}, []string{"sales.customers 0", "sales.customers_id_seq 1", "sales.orders 0", "sales.orders_id_seq 1", "sales.paid 0"}, "without its rows"},
			"by a pattern":                      {[]string{`*table' \ with*`, "--db*"}, []string{"\"Odd \"\"schema\"\" ünïcode\".\"a 'table' \\ with\nall\" 4", `public."--dbname=evil" 1`}, "large objects"},
		} {
			t.Run(fmt.Sprint(name, " by ", 1+jobs), func(t *testing.T) {
				req := archive.Request("abcd0001", fresh(t))
				req.IncludeTables, req.Jobs = c.include, 1+jobs
				report := enginetest.Restore(t, newEngine(), src, req, archive.Opener())
				target := in(src, req.Target)
				require.Equal(t, c.want, relations(t, target))
				require.Contains(t, strings.Join(report.Warnings, "\n"), c.warns)
				if name == "with its schema" {
					require.NotEmpty(t, queryStrings(t, target, "select tgname::text from pg_trigger where tgname = 'audit'"))
					require.NotEmpty(t, queryStrings(t, target, "select policyname::text from pg_policies"))
					require.Equal(t, []string{"c", "p"}, queryStrings(t, target, "select contype::text from pg_constraint where conrelid = 'sales.orders'::regclass order by 1"),
						"the foreign key points to a table that is not there")
					require.Equal(t, queryStrings(t, src, "select row(o.*)::text from sales.orders o order by id"), queryStrings(t, target, "select row(o.*)::text from sales.orders o order by id"))
				}
			})
		}
		t.Run(fmt.Sprint("one that is not in the backup by ", 1+jobs), func(t *testing.T) {
			before := databases(t)
			req := archive.Request("abcd0002", "not there yet")
			req.IncludeTables = []string{"customers", "custmers"}
			_, err := newEngine().Stage(enginetest.Context(t), src, req, archive.Opener())
			enginetest.RequireClass(t, failure.NotFound, err)
			require.ErrorContains(t, err, `"custmers"`)
			require.Equal(t, before, databases(t))
		})
	}
}

func TestChosenTablesReplaceNoWholeDatabase(t *testing.T) {
	src := small(t, "not by some")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	req := archive.Request("abcd0003", "not by some")
	req.IncludeTables, req.DropExisting = []string{"kept"}, true
	err := newEngine().CheckTarget(enginetest.Context(t), src, req)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.Contains(t, failure.HintOf(err), "new or empty target_database")
}
