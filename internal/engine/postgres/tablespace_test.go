package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

// createTablespace makes one inside the server's own directory, which only a developer's setting allows.
func createTablespace(t *testing.T, name string) {
	t.Helper()
	conn := open(t, source(t, "postgres"))
	for _, statement := range []string{"SET allow_in_place_tablespaces = on", "CREATE TABLESPACE " + name + " LOCATION ''"} {
		_, err := conn.Exec(context.Background(), statement)
		require.NoError(t, err)
	}
}

func TestATablespaceThatIsNotThereCostsOnlyThePlace(t *testing.T) {
	createTablespace(t, "fast_disk")
	t.Cleanup(func() { execute(t, source(t, "postgres"), "DROP TABLESPACE IF EXISTS fast_disk") })
	src := create(t, "spaced", "TEMPLATE template0")
	execute(t, src,
		"CREATE TABLE t (i int) TABLESPACE fast_disk", "INSERT INTO t SELECT generate_series(1, 100)", "CREATE INDEX at ON t (i) TABLESPACE fast_disk",
		"CREATE TABLE p (i int) PARTITION BY RANGE (i) TABLESPACE fast_disk", "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)")
	archives := map[string]enginetest.Archive{} // by the name of what each is restored into
	for _, jobs := range []int{1, 3} {
		archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{Jobs: jobs})
		target := fresh(t)
		restored := enginetest.Restore(t, newEngine(), src, archive.Request("abcd0001", target), archive.Opener())
		require.Empty(t, restored.Warnings)
		const placed = "SELECT relname::text FROM pg_class JOIN pg_tablespace s ON s.oid = reltablespace WHERE spcname = 'fast_disk' ORDER BY 1"
		require.Equal(t, []string{"at", "p", "p1", "t"}, queryStrings(t, in(src, target), placed))
		dropSpaced(t, target)
		archives[target] = archive
	}
	// Then, as on another server, it is not there.
	dropSpaced(t, src.Config.Database)
	execute(t, source(t, "postgres"), "DROP TABLESPACE fast_disk")
	for target, archive := range archives {
		restored := enginetest.Restore(t, newEngine(), src, archive.Request("abcd0002", target), archive.Opener())
		require.Contains(t, strings.Join(restored.Warnings, " "), "lacks these of the backup, or the user may not use them: fast_disk")
		require.Equal(t, []string{"100"}, queryStrings(t, in(src, target), "SELECT count(*)::text FROM t"))
	}
}

func dropSpaced(t *testing.T, database string) {
	t.Helper()
	execute(t, source(t, "postgres"), `DROP DATABASE "`+database+`" WITH (FORCE)`)
}
