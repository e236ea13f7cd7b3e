package postgres_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
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

func TestAFullDiskFailsARestoreAndLeavesNothing(t *testing.T) {
	small := storagetest.SmallDir(t, 24<<20)
	owner, err := os.Stat(queryStrings(t, source(t, "postgres"), "show data_directory")[0])
	require.NoError(t, err)
	for _, above := range []string{filepath.Dir(small), filepath.Dir(filepath.Dir(small))} {
		require.NoError(t, os.Chmod(above, 0o755)) //nolint:gosec // the server's user passes through
	}
	require.NoError(t, os.Chown(small, int(owner.Sys().(*syscall.Stat_t).Uid), -1))
	execute(t, source(t, "postgres"), "CREATE TABLESPACE small LOCATION '"+small+"'")
	t.Cleanup(func() { execute(t, source(t, "postgres"), "DROP TABLESPACE small") })
	src := create(t, "too large", "")
	execute(t, src, "CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 400000) i")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	target := create(t, "on a small disk", "TABLESPACE small")
	before := databases(t)
	for jobs := range 2 {
		req := archive.Request("abcd0009", target.Config.Database)
		req.Jobs = 1 + jobs
		_, err = newEngine().Stage(enginetest.Context(t), src, req, archive.Opener())
		enginetest.RequireClass(t, failure.StorageFull, err)
		require.NotEmpty(t, failure.HintOf(err))
		require.Equal(t, before, databases(t))
	}
}
