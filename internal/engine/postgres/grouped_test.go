package postgres_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/postgres"
)

// newerRestorer stands for a pg_restore that reads what pg_dump 17 writes: it does with SQL what the entries of
// postgres.GroupedArchive say, and notes what it was asked for.
func newerRestorer(t *testing.T) (dir, asked string) {
	t.Helper()
	asked = filepath.Join(t.TempDir(), "asked")
	const table = "create table public.notes (id int, v text)"
	sql := map[int]string{
		postgres.GroupedTable:   table,
		postgres.GroupedFirst:   "select lo_create(4711), lo_create(4712)",
		postgres.GroupedComment: "comment on large object 4711 is 'the first'",
		postgres.GroupedSecond:  "select lo_create(4713)",
	}
	var ids strings.Builder
	for id, statement := range sql {
		fmt.Fprintf(&ids, "'%d;') run %q;;\n", id, statement)
	}
	script := fmt.Sprintf(`
for word in "$@"; do case "$word" in
	--dbname=*) database=${word#--dbname=};;
	--use-list=*) list=${word#--use-list=};;
	--section=*) section=${word#--section=};;
esac; done
run() { %s --no-psqlrc --quiet --output=/dev/null --set=ON_ERROR_STOP=1 --dbname="$database" --command="$1" || exit 1; }
echo "$section" $(cat ${list:-/dev/null}) >>%s
if [ -z "$list" ]; then run %q; exit; fi
while read -r id; do case "$id" in
%s*) echo "pg_restore: error: entry $id" >&2; exit 1;;
esac; done <"$list"`, tool("psql"), asked, table, ids.String())
	return enginetest.FakeTool(t, tool("pg_restore"), script), asked
}

// TestLargeObjectsInGroupsAreMadeBeforeTheyAreFilled: pg_dump 17 puts what makes them among the data.
func TestLargeObjectsInGroupsAreMadeBeforeTheyAreFilled(t *testing.T) {
	archive, _ := enginetest.Dump(t, newEngine(), create(t, "grouped", ""), engine.DumpOptions{})
	archive = archive.With(postgres.GroupedArchive())
	blocks, err := postgres.Blocks(archive.Bytes)
	require.NoError(t, err)
	archive.Stream.Properties = maps.Clone(archive.Stream.Properties)
	archive.Stream.Properties["blocks"], archive.Stream.Properties["roles"] = blocks, fmt.Sprintf("[%q]", source(t, "").Config.Username)
	for _, jobs := range []int{1, 3} {
		t.Run(fmt.Sprint(jobs), func(t *testing.T) {
			tools, asked := newerRestorer(t)
			req := archive.Request(fmt.Sprintf("9999%04d", jobs), fresh(t))
			req.Jobs = jobs
			report := enginetest.Restore(t, withTools(tools), source(t, "postgres"), req, archive.Opener())
			require.Empty(t, report.Warnings)
			target := source(t, req.Target)
			require.Equal(t, []string{"1 one", "2 two"}, queryStrings(t, target, "select id || ' ' || v from notes order by id"))
			require.Equal(t, []string{"4711 the first of the first", "4712 of the second", "4713 of the third"}, queryStrings(t, target,
				"select concat_ws(' ', oid, obj_description(oid, 'pg_largeobject'), convert_from(lo_get(oid), 'UTF8')) from pg_largeobject_metadata order by oid"))
			lines, err := os.ReadFile(asked)
			require.NoError(t, err)
			require.Equal(t, "pre-data\n 2; 4;\n 3;\n", string(lines), "the tables, the large objects, and behind the data the rest")
		})
	}
	t.Run("and not at all where tables are chosen", func(t *testing.T) {
		tools, asked := newerRestorer(t)
		req := archive.Request("99990009", fresh(t))
		req.IncludeTables = []string{"notes"}
		report := enginetest.Restore(t, withTools(tools), source(t, "postgres"), req, archive.Opener())
		require.Equal(t, []string{"large objects were not restored: they belong to no table"}, report.Warnings)
		lines, err := os.ReadFile(asked)
		require.NoError(t, err)
		require.Equal(t, "pre-data 1;\n", string(lines))
		require.Equal(t, []string{"2"}, queryStrings(t, source(t, req.Target), "select count(*)::text from notes"))
	})
}
