package postgres_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// newLarge is the sample with tables that are too large to be written to the scratch directory.
func newLarge(t *testing.T, name string) engine.Source {
	t.Helper()
	src := newSample(t, name)
	for i := range 5 {
		execute(t, src,
			fmt.Sprintf("CREATE TABLE large_%d (id int PRIMARY KEY, v text NOT NULL)", i),
			fmt.Sprintf("INSERT INTO large_%d SELECT i, md5(i::text) || E'\\t\\\\' || repeat('y', i %% 90) FROM generate_series(1, %d) i", i, 20_000+10_000*i),
			fmt.Sprintf("CREATE INDEX ON large_%d (v)", i))
	}
	execute(t, src, "ALTER TABLE large_0 ADD FOREIGN KEY (id) REFERENCES large_4", "ALTER TABLE large_4 ADD FOREIGN KEY (id) REFERENCES large_4")
	return src
}

// ownTemp gives the test a temporary directory of its own, which is empty of dumps at its end.
func ownTemp(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		left, err := filepath.Glob(filepath.Join(dir, "dataguardian-*", "*-*"))
		require.NoError(t, err)
		require.Empty(t, left, "the scratch directory is left")
	})
}

func TestEveryNumberOfJobsRestoresTheSame(t *testing.T) {
	src := newLarge(t, "jobs")
	want := content(t, src)
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	for _, jobs := range []int{1, 2, 4, 16} {
		t.Run(fmt.Sprint(jobs), func(t *testing.T) {
			ownTemp(t)
			target := fresh(t)
			req := archive.Request(fmt.Sprintf("dddd%04d", jobs), target)
			req.Jobs = jobs
			report := enginetest.Restore(t, newEngine(), src, req, archive.Opener())
			require.Empty(t, report.Warnings)
			require.Equal(t, sampleTables+5, report.Tables)
			require.Equal(t, want, content(t, in(src, target)))
		})
	}
}

func TestAParallelRestoreThatFailsLeavesNothing(t *testing.T) {
	src := newLarge(t, "failing jobs")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	before, ctx := databases(t), enginetest.Context(t)
	req := archive.Request("dddd1001", "failing jobs")
	req.DropExisting, req.Jobs = true, 4
	chunk := failure.New(failure.Corrupt, "read chunk", "wrong checksum", "")
	end := len(archive.Bytes)
	for name, n := range map[string]int{
		"in the table of contents": 1000, "in a tenth": end / 10, "in the middle": end / 2, "near the end": end - 100_000, "behind the end": end,
	} {
		t.Run(name, func(t *testing.T) {
			ownTemp(t)
			_, err := newEngine().Stage(ctx, src, req, archive.FailingAt(n, chunk))
			require.ErrorIs(t, err, chunk)
			enginetest.RequireClass(t, failure.Corrupt, err)
			require.Equal(t, before, databases(t))
			require.Empty(t, enginetest.Children(t, tool("pg_restore")))
		})
	}
	t.Run("when pg_restore dies after the data is loaded", func(t *testing.T) {
		ownTemp(t)
		script := fmt.Sprintf("case \"$*\" in *--use-list*) kill -9 $$;; *) exec %s \"$@\";; esac", tool("pg_restore"))
		_, err := withTools(enginetest.FakeTool(t, tool("pg_restore"), script)).(engine.Stager).Stage(ctx, src, req, archive.Opener())
		require.ErrorContains(t, err, "SIGKILL")
		require.Equal(t, before, databases(t))
	})
	t.Run("when pg_restore does nothing and says it went well", func(t *testing.T) {
		ownTemp(t)
		_, err := withTools(enginetest.FakeTool(t, tool("pg_restore"), "exit 0")).(engine.Stager).Stage(ctx, src, req, archive.Opener())
		require.ErrorContains(t, err, "does not exist")
		require.Equal(t, before, databases(t))
	})
	t.Run("when the server ends a connection that loads", func(t *testing.T) {
		ownTemp(t)
		go terminateLoading(t, src)
		_, err := newEngine().Stage(ctx, src, req, stuckAfterTOC(archive))
		enginetest.RequireClass(t, failure.Unreachable, err)
		require.Equal(t, before, databases(t))
	})
	t.Run("when it is cancelled", func(t *testing.T) {
		ownTemp(t)
		ctx, cancel := context.WithCancel(ctx)
		go func() {
			awaitLoading(t, src)
			cancel()
		}()
		_, err := newEngine().Stage(ctx, src, req, stuckAfterTOC(archive))
		enginetest.RequireClass(t, failure.Cancelled, err)
		require.Equal(t, before, databases(t))
	})
}

// loading are the connections that load data into a staging database.
const loading = `from pg_stat_activity where datname like '%\_dg\_%' and query like 'COPY %' and state = 'active'`

// awaitLoading waits until data is being loaded.
func awaitLoading(t *testing.T, src engine.Source) {
	for queryStrings(t, in(src, "postgres"), "select count(*)::text "+loading)[0] == "0" {
		time.Sleep(5 * time.Millisecond) // there is no event for it
	}
}

func terminateLoading(t *testing.T, src engine.Source) {
	awaitLoading(t, src)
	queryStrings(t, in(src, "postgres"), "select pg_terminate_backend(pid)::text "+loading+" limit 1")
}

// stuckAfterTOC serves the table of contents, and of the data only a beginning, until the context ends.
func stuckAfterTOC(archive enginetest.Archive) engine.Opener {
	return func(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
		if offset > 0 {
			return archive.StuckAt(int(offset)+100_000)(ctx, name, offset)
		}
		return archive.Opener()(ctx, name, offset)
	}
}

func TestADumpWithoutAnIndexIsLoadedByOneJob(t *testing.T) {
	src := newSample(t, "one job")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	require.NotEmpty(t, archive.Stream.Properties["blocks"])
	archive.Stream.Properties = maps.Clone(archive.Stream.Properties)
	delete(archive.Stream.Properties, "blocks")
	target := fresh(t)
	req := archive.Request("dddd2001", target)
	req.Jobs = 2
	report := enginetest.Restore(t, newEngine(), src, req, archive.Opener())
	require.Equal(t, content(t, src), content(t, in(src, target)))
	require.Len(t, report.Warnings, 1)
	require.Contains(t, report.Warnings[0], "1 job instead of 2")
}

func TestAnIndexThatDoesNotFitTheDumpIsCorrupt(t *testing.T) {
	src := newLarge(t, "index")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	req := archive.Request("dddd3001", fresh(t))
	req.Jobs = 2
	before := databases(t)
	for name, index := range map[string]string{
		"not one": "x", "a block short": "1 2 3\n", "nothing": "", "overlapping": "1 100 50\n2 120 30\n",
	} {
		t.Run(name, func(t *testing.T) {
			archive.Stream.Properties["blocks"] = index
			_, err := newEngine().Stage(enginetest.Context(t), src, req, archive.Opener())
			enginetest.RequireClass(t, failure.Corrupt, err)
			require.Equal(t, before, databases(t))
		})
	}
}
