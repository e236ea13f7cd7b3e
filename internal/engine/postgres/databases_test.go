package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	whole "github.com/dataguardian/dataguardian/internal/engine/databases"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/postgres"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// everyDatabase is a datasource of the whole server, but what other tests make.
func everyDatabase(t *testing.T, exclude ...string) engine.Source {
	t.Helper()
	src := source(t, "")
	src.Config.Databases = &domain.DatabaseSelection{All: true, Exclude: append(exclude, "fresh *", "postgres")}
	return src
}

func wholeServer(t *testing.T) *whole.Engine {
	t.Helper()
	e, err := whole.Of(newEngine())
	require.NoError(t, err)
	return e
}

func serverOf(t *testing.T, names ...string) {
	t.Helper()
	for i, name := range names {
		execute(t, create(t, name, ""), "CREATE TABLE t (n int PRIMARY KEY)", fmt.Sprintf("INSERT INTO t SELECT generate_series(1, %d)", 10*(i+1)))
	}
}

func count(t *testing.T, database string) string {
	t.Helper()
	return queryStrings(t, source(t, database), "select count(*)::text from t")[0]
}

func TestEveryDatabaseOfAServerIsBackedUpAndEachCanBeRestored(t *testing.T) {
	names := []string{"shop/eu & uk", "tools us"}
	serverOf(t, append(names, "left_out")...)
	src, e := everyDatabase(t, "left_*"), wholeServer(t)
	archive, report := enginetest.Dump(t, e, src, engine.DumpOptions{})
	require.Empty(t, report.Warnings)
	request := archive.Request("bbbb0001", "")
	require.Equal(t, names, whole.Names(request.Streams))
	require.NoError(t, e.CheckStreams(request.Streams))
	for _, s := range archive.Streams() {
		_, err := e.Inspect(enginetest.Context(t), s.Stream, bytes.NewReader(s.Bytes))
		require.NoError(t, err, s.Stream.Name)
	}

	t.Run("all at once, under their own names", func(t *testing.T) {
		for _, name := range names {
			execute(t, source(t, name), "DELETE FROM t")
		}
		req := request
		req.Databases, req.DropExisting = names, true
		enginetest.Restore(t, e, src, req, archive.Opener())
		require.Equal(t, "10", count(t, names[0]))
		require.Equal(t, "20", count(t, names[1]))
		require.NotContains(t, strings.Join(databases(t), "\n"), "_dg_")
	})
	t.Run("one, under another name", func(t *testing.T) {
		req := archive.Request("bbbb0002", fresh(t))
		req.Databases = names[1:]
		enginetest.Restore(t, e, src, req, archive.Opener())
		require.Equal(t, "20", count(t, req.Target))
	})
	t.Run("several into one is refused", func(t *testing.T) {
		req := archive.Request("bbbb0003", fresh(t))
		req.Databases = names
		enginetest.RequireClass(t, failure.ConfigInvalid, e.CheckTarget(enginetest.Context(t), src, req))
	})
	t.Run("one that is not in the backup is refused", func(t *testing.T) {
		req := archive.Request("bbbb0004", "")
		req.Databases = []string{"left_out"}
		err := e.CheckTarget(enginetest.Context(t), src, req)
		enginetest.RequireClass(t, failure.ConfigInvalid, err)
		require.Contains(t, err.Error(), `"left_out"`)
	})
	t.Run("what was staged of all is discarded", func(t *testing.T) {
		before := databases(t)
		req := archive.Request("bbbb0005", "")
		req.Databases, req.Scratch = names, true
		report, err := e.Stage(enginetest.Context(t), src, req, archive.Opener())
		require.NoError(t, err)
		require.Equal(t, 2, report.Tables)
		require.NoError(t, e.Discard(enginetest.Context(t), src, archiveless(req)))
		require.Equal(t, before, databases(t))
	})
}

// archiveless is a request as a clean-up has it, which knows nothing of the backup.
func archiveless(req engine.StageRequest) engine.StageRequest {
	req.Streams = nil
	return req
}

func TestADatabaseWithoutOneOfItsStreamsIsFound(t *testing.T) {
	serverOf(t, "streams_a", "streams_b")
	archive, _ := enginetest.Dump(t, wholeServer(t), everyDatabase(t), engine.DumpOptions{Jobs: 2})
	var missing []engine.Stream
	for _, s := range archive.Request("bbbb0006", "").Streams {
		if !strings.Contains(s.Name, "streams_b/toc.dat") {
			missing = append(missing, s)
		}
	}
	err := wholeServer(t).CheckStreams(missing)
	require.ErrorContains(t, err, "streams_b")
}

func TestANewDatabaseIsInTheNextBackup(t *testing.T) {
	serverOf(t, "first")
	e, src := wholeServer(t), everyDatabase(t)
	archive, _ := enginetest.Dump(t, e, src, engine.DumpOptions{})
	require.Equal(t, []string{"first"}, whole.Names(archive.Request("bbbb0007", "").Streams))
	serverOf(t, "second")
	archive, _ = enginetest.Dump(t, e, src, engine.DumpOptions{})
	require.Equal(t, []string{"first", "second"}, whole.Names(archive.Request("bbbb0008", "").Streams))
}

func TestASelectionOfNothingIsAnError(t *testing.T) {
	_, _, err := enginetest.TryDump(t, wholeServer(t), everyDatabase(t, "*"), engine.DumpOptions{})
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.ErrorContains(t, err, "none is left")
}

func TestTablesCanNotBeChosenForEveryDatabaseAtOnce(t *testing.T) {
	_, _, err := enginetest.TryDump(t, wholeServer(t), everyDatabase(t), engine.DumpOptions{IncludeTables: []string{"t"}})
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.ErrorContains(t, err, "include_tables")
}

func TestRolesAreBackedUpAsPsqlReadsThem(t *testing.T) {
	execute(t, source(t, "postgres"), `CREATE ROLE "re porting" NOLOGIN`, "CREATE ROLE limited LOGIN PASSWORD 'limited-secret'")
	t.Cleanup(func() { execute(t, source(t, "postgres"), `DROP ROLE IF EXISTS "re porting"`, "DROP ROLE limited") })
	archive, warnings := dumpGlobals(t, newEngine(), source(t, ""))
	require.Empty(t, warnings)
	require.Equal(t, postgres.GlobalsFormat, archive.Stream.Format)

	execute(t, source(t, "postgres"), `DROP ROLE "re porting"`)
	psql := exec.Command(tool("psql"), "--no-psqlrc", "--quiet", server.URL()) //nolint:gosec // the server's own
	psql.Stdin = bytes.NewReader(archive.Bytes)
	out, err := psql.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, []string{"re porting"}, queryStrings(t, source(t, "postgres"), "select rolname::text from pg_roles where rolname = 're porting'"))

	t.Run("without passwords for a user who may not read them", func(t *testing.T) {
		src := source(t, "")
		src.Config.Username, src.Config.Password = "limited", "limited-secret"
		archive, warnings := dumpGlobals(t, newEngine(), src)
		require.Len(t, warnings, 1)
		require.Contains(t, string(archive.Bytes), "re porting")
		require.NotContains(t, string(archive.Bytes), "SCRAM-SHA-256")
	})
	for name, damaged := range map[string][]byte{
		"nothing":         {},
		"half":            archive.Bytes[:len(archive.Bytes)/2],
		"something else":  bytes.Repeat([]byte("no dump "), 100),
		"with more after": append(bytes.Clone(archive.Bytes), "DROP ROLE x;\n"...),
	} {
		t.Run("damaged: "+name, func(t *testing.T) {
			_, err := newEngine().Inspect(enginetest.Context(t), archive.Stream, bytes.NewReader(damaged))
			enginetest.RequireClass(t, failure.Corrupt, err)
		})
	}
	t.Run("a tool that dies is an error", func(t *testing.T) {
		for _, ending := range []string{"exit 0", "exit 3", "kill -9 $$"} {
			script := fmt.Sprintf("%s \"$@\" | head -c 100\n%s", tool("pg_dumpall"), ending)
			dying := withTools(enginetest.FakeTool(t, tool("pg_dumpall"), script)).(engine.GlobalsDumper)
			_, err := dying.DumpGlobals(enginetest.Context(t), source(t, ""), discard)
			require.Error(t, err, ending)
		}
	})
}

func discard(_ context.Context, _ engine.Stream, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// dumpGlobals dumps the globals into memory.
func dumpGlobals(t *testing.T, e engine.GlobalsDumper, src engine.Source) (enginetest.Archive, []string) {
	t.Helper()
	var archive enginetest.Archive
	warnings, err := e.DumpGlobals(enginetest.Context(t), src, func(_ context.Context, s engine.Stream, r io.Reader) (err error) {
		archive.Stream = s
		archive.Bytes, err = io.ReadAll(r)
		return err
	})
	require.NoError(t, err)
	return archive, warnings
}
