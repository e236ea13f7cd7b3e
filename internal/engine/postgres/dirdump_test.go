package postgres_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/postgres"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestADumpByAnyNumberOfJobsRestoresWithAnyNumber(t *testing.T) {
	src := newLarge(t, "dump jobs")
	execute(t, src, "SELECT lo_from_bytea(424244, decode(repeat('00ff10', 700000), 'hex'))") // a large object above smallFile
	want := content(t, src)
	for i, jobs := range [][2]int{{2, 1}, {2, 4}, {4, 2}, {16, 16}} {
		t.Run(fmt.Sprint(jobs), func(t *testing.T) {
			ownTemp(t)
			archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{Jobs: jobs[0]})
			require.Len(t, archive.Streams(), 2+6, "toc.dat, the small ones, five tables and one large object")
			require.NoError(t, newEngine().CheckStreams(archive.Request("", "").Streams))
			target := fresh(t)
			req := archive.Request(fmt.Sprintf("eeee%04d", i), target)
			req.Jobs = jobs[1]
			report := enginetest.Restore(t, newEngine(), src, req, archive.Opener())
			require.Empty(t, report.Warnings)
			require.Equal(t, sampleTables+5, report.Tables)
			require.Equal(t, want, content(t, in(src, target)))
		})
	}
}

func TestADatabaseWithoutTablesAndSomeTablesDumpWithJobs(t *testing.T) {
	src := create(t, "nothing for jobs", "")
	restore := func(token string, opts engine.DumpOptions) engine.StageReport {
		archive, _ := enginetest.Dump(t, newEngine(), src, opts)
		return enginetest.Restore(t, newEngine(), src, archive.Request(token, fresh(t)), archive.Opener())
	}
	require.Zero(t, restore("eeee1001", engine.DumpOptions{Jobs: 2}).Tables)
	execute(t, src, "CREATE SCHEMA app", "CREATE TABLE app.wanted (v text)", "INSERT INTO app.wanted VALUES ('x')", "CREATE TABLE other (v text)")
	require.Equal(t, 1, restore("eeee1002", engine.DumpOptions{Jobs: 2, IncludeTables: []string{"app.*"}}).Tables)
	require.Equal(t, 1, restore("eeee1003", engine.DumpOptions{Jobs: 2, ExcludeTables: []string{"other"}}).Tables)
}

func TestManySmallTablesMakeFewStreams(t *testing.T) {
	src := create(t, "many tables", "")
	execute(t, src, `DO $$ BEGIN FOR i IN 1..600 LOOP EXECUTE format('CREATE TABLE t%s AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, %s) g', i, i); END LOOP; END $$`)
	first, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{Jobs: 4})
	require.Len(t, first.Streams(), 2)
	again, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{Jobs: 4})
	require.Equal(t, first.Bytes, again.Bytes, "the archive of small files is the same when the tables are")
	target := fresh(t)
	require.Equal(t, 600, enginetest.Restore(t, newEngine(), src, first.Request("eeee2001", target), first.Opener()).Tables)
	require.Equal(t, []string{"180300"}, queryStrings(t, in(src, target), "select sum(n)::text from (select (xpath('/row/c/text()', query_to_xml(format('select count(*) as c from %I', tablename), false, true, '')))[1]::text::int as n from pg_tables where schemaname = 'public') x"))
}

// pg_dump's five large tables take some 17 MB; with room for 2 it has to wait for the archive.
func TestADumpThatIsAheadOfTheArchiveWaits(t *testing.T) {
	src := newLarge(t, "slow archive")
	ownTemp(t)
	const bound = 2 << 20
	var most, stopped atomic.Int64
	watching, done := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for watching.Err() == nil {
			most.Store(max(most.Load(), used(os.Getenv("TMPDIR"))))
			for _, dir := range enginetest.Children(t, tool("pg_dump")) {
				if stat, err := os.ReadFile(filepath.Join(dir, "stat")); err == nil && processState(stat) == "T" { //nolint:gosec // a path under /proc
					stopped.Add(1)
				}
			}
			time.Sleep(2 * time.Millisecond)
		}
	}()
	var total atomic.Int64
	_, err := withScratch(bound).Dump(enginetest.Context(t), src, engine.DumpOptions{Jobs: 2, IdleTimeout: 10 * time.Second}, func(_ context.Context, _ engine.Stream, r io.Reader) error {
		buffer := make([]byte, 64<<10)
		for {
			n, err := r.Read(buffer)
			total.Add(int64(n))
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			time.Sleep(3 * time.Millisecond) // what a slow storage location does
		}
	})
	done()
	<-watched
	require.NoError(t, err)
	require.Greater(t, total.Load(), int64(16<<20))
	require.Positive(t, stopped.Load(), "pg_dump was never paused")
	// The bound, what was read and not yet given back, what pg_dump writes between two looks.
	require.Less(t, most.Load(), int64(14<<20), "of %d bytes", total.Load())
}

// processState is the letter after the name in /proc/<pid>/stat.
func processState(stat []byte) string {
	for i := len(stat) - 1; i > 0; i-- {
		if stat[i] == ')' {
			return string(stat[i+2])
		}
	}
	return ""
}

// used is how many bytes of disk the files below dir take.
func used(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error {
		total += allocated(path)
		return nil
	})
	return total
}

func TestAPausedDumpCanBeCancelled(t *testing.T) {
	src := newLarge(t, "paused")
	ownTemp(t)
	ctx, cancel := context.WithCancel(enginetest.Context(t))
	paused := make(chan struct{})
	go func() {
		defer close(paused)
		for ctx.Err() == nil {
			for _, dir := range enginetest.Children(t, tool("pg_dump")) {
				if stat, err := os.ReadFile(filepath.Join(dir, "stat")); err == nil && processState(stat) == "T" { //nolint:gosec // a path under /proc
					cancel()
				}
			}
			time.Sleep(time.Millisecond) // another process: there is no event to wait for
		}
	}()
	start := time.Now()
	_, err := withScratch(1<<20).Dump(ctx, src, engine.DumpOptions{Jobs: 2}, func(ctx context.Context, s engine.Stream, r io.Reader) error {
		if s.Name == "toc.dat" || s.Format == postgres.BundleFormat {
			_, err := io.Copy(io.Discard, r)
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	})
	<-paused
	enginetest.RequireClass(t, failure.Cancelled, err)
	require.Less(t, time.Since(start), 60*time.Second)
	require.Empty(t, enginetest.Children(t, tool("pg_dump")))
}

func TestADumpByJobsThatIsNotWholeIsFound(t *testing.T) {
	src := newLarge(t, "not whole")
	fake := func(t *testing.T, damage string) error {
		t.Helper()
		ownTemp(t)
		script := fmt.Sprintf(`for a in "$@"; do case "$a" in --file=*) dir=${a#--file=};; esac; done
%s "$@" --file="$dir.whole" || exit 9
cd "$dir.whole"; small=$(ls -S [0-9]*.dat | tail -1); large=$(ls -S [0-9]*.dat | head -1)
%s`, tool("pg_dump"), damage)
		_, _, err := enginetest.TryDump(t, withTools(enginetest.FakeTool(t, tool("pg_dump"), script)), src, engine.DumpOptions{Jobs: 2})
		return err
	}
	require.NoError(t, fake(t, `cp * "$dir"`))
	for name, damage := range map[string]string{
		"without the table of contents": `rm toc.dat; cp * "$dir"`,
		"half a table of contents":      `head -c 3000 toc.dat > "$dir/toc.dat"; rm toc.dat; cp * "$dir"`,
		"without a small table":         `rm $small; cp * "$dir"`,
		"without a large table":         `rm $large; cp * "$dir"`,
		"half a large table":            `head -c 2000000 $large > "$dir/$large"; rm $large; cp * "$dir"`,
		"a small table without its end": `head -c 2 $small > "$dir/$small"; rm $small; cp * "$dir"`,
	} {
		t.Run(name, func(t *testing.T) { enginetest.RequireClass(t, failure.Corrupt, fake(t, damage)) })
	}
	t.Run("all of it and a signal", func(t *testing.T) { require.ErrorContains(t, fake(t, `cp * "$dir"; kill -9 $$`), "SIGKILL") })
	t.Run("all of it and a status", func(t *testing.T) { require.ErrorContains(t, fake(t, `cp * "$dir"; exit 3`), "status 3") })
}

func TestABackupWithoutOneOfItsStreamsIsRefused(t *testing.T) {
	src := newLarge(t, "missing stream")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{Jobs: 2})
	whole := archive.Request("eeee3001", fresh(t))
	for i, s := range whole.Streams {
		req := whole
		req.Streams = append(append([]engine.Stream{}, whole.Streams[:i]...), whole.Streams[i+1:]...)
		err := newEngine().CheckTarget(enginetest.Context(t), src, req)
		require.Error(t, err, s.Name)
		require.Error(t, newEngine().CheckStreams(req.Streams), strconv.Quote(s.Name))
	}
}
