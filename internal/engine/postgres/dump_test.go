package postgres_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/postgres"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestAPatternThatMatchesNothingIsNamed(t *testing.T) {
	src := small(t, "patterns")
	for name, patterns := range map[string][]string{
		"alone":                {"no_such_table"},
		"beside one that does": {"kept", "no_such_table"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{IncludeTables: patterns})
			enginetest.RequireClass(t, failure.ConfigInvalid, err)
			require.Contains(t, err.Error(), "no_such_table")
			require.Contains(t, failure.HintOf(err), "include_tables")
		})
	}
	t.Run("a pattern that looks like an option is a pattern", func(t *testing.T) {
		_, _, err := enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{IncludeTables: []string{"--file=/tmp/evil"}})
		enginetest.RequireClass(t, failure.ConfigInvalid, err)
		require.NoFileExists(t, "/tmp/evil")
	})
}

func TestADumpOfSomeTablesRestoresIntoANewDatabase(t *testing.T) {
	src := create(t, "some tables", "")
	execute(t, src, "CREATE SCHEMA app", "CREATE SCHEMA ext", "CREATE EXTENSION pg_trgm SCHEMA ext",
		"CREATE TABLE app.wanted (v text)", "CREATE INDEX ON app.wanted USING gin (v ext.gin_trgm_ops)", "INSERT INTO app.wanted VALUES ('x')",
		"CREATE TABLE app.unwanted (v text)", "CREATE TABLE other (v text)")
	for name, opts := range map[string]engine.DumpOptions{
		"included": {IncludeTables: []string{"app.wanted"}},
		"excluded": {ExcludeTables: []string{"app.unwanted", "other"}},
		"both":     {IncludeTables: []string{"app.*"}, ExcludeTables: []string{"app.unw*"}},
	} {
		t.Run(name, func(t *testing.T) {
			archive, _ := enginetest.Dump(t, newEngine(), src, opts)
			target := fresh(t)
			report := enginetest.Restore(t, newEngine(), src, archive.Request("cccc0001", target), archive.Opener())
			require.Equal(t, 1, report.Tables)
			require.Equal(t, []string{"x"}, queryStrings(t, in(src, target), "select v from app.wanted"))
		})
	}
}

// What a job gives pg_dump besides reaches it in both forms of a dump, and what it leaves out restores.
func TestAJobsOwnArgumentsReachTheTool(t *testing.T) {
	src := create(t, "extra args", "")
	execute(t, src, "CREATE TABLE kept (v text)", "COMMENT ON TABLE kept IS 'said'", "INSERT INTO kept VALUES ('x')", "CREATE TABLE log (v text)", "INSERT INTO log VALUES ('y')")
	for i, jobs := range []int{1, 2} {
		archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{Jobs: jobs, ExtraArgs: []string{"--exclude-table-data=log", "--no-comments"}})
		target := fresh(t)
		req := archive.Request(fmt.Sprintf("cccc%04d", 10+i), target)
		report := enginetest.Restore(t, newEngine(), src, req, archive.Opener())
		require.Equal(t, 2, report.Tables)
		require.Equal(t, []string{"x"}, queryStrings(t, in(src, target), "select v from kept union all select v from log"))
		require.Equal(t, []string{"true"}, queryStrings(t, in(src, target), "select (obj_description('kept'::regclass) is null)::text"))
	}
}

func TestOddPasswordsWorkAndAreNeverShown(t *testing.T) {
	src := small(t, "passwords")
	for i, password := range []string{`a:b\c`, `\`, `::`, `it's "quoted" $HOME`, `пароль-密码-ü`, `# not a comment`, ` spaces `, `p%41ss@host/x?y`} {
		t.Run(fmt.Sprintf("password %d", i), func(t *testing.T) {
			role := fmt.Sprintf("odd password %d", i)
			execute(t, source(t, "postgres"), fmt.Sprintf("CREATE ROLE %s LOGIN SUPERUSER PASSWORD E'%s'",
				pgx.Identifier{role}.Sanitize(), strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(password)))
			t.Cleanup(func() { execute(t, source(t, "postgres"), "DROP ROLE "+pgx.Identifier{role}.Sanitize()) })
			user := src
			user.Config.Username, user.Config.Password = role, password
			seen := dumpWatched(t, user)
			if len(password) > 2 {
				require.NotContains(t, seen, password)
			}
			require.Contains(t, seen, "PGPASSFILE=")
			require.NotContains(t, seen, "PGPASSWORD")
			leftovers, err := filepath.Glob(filepath.Join(os.TempDir(), "dataguardian-*", "*-*"))
			require.NoError(t, err)
			require.Empty(t, leftovers)
		})
	}
}

// dumpWatched dumps and returns the command line and the environment that pg_dump had.
func dumpWatched(t *testing.T, src engine.Source) (seen string) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	release := hold("kept")(t, src)
	_, err := newEngine().Dump(enginetest.Context(t), src, engine.DumpOptions{}, func(_ context.Context, _ engine.Stream, r io.Reader) error {
		dir := enginetest.AwaitChild(t, tool("pg_dump"))
		for _, file := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(filepath.Join(dir, file)) //nolint:gosec // a path under /proc
			require.NoError(t, err)
			seen += string(text)
		}
		release()
		_, err := io.Copy(io.Discard, r)
		return err
	})
	require.NoError(t, err)
	require.NotEmpty(t, seen)
	return seen
}

// What is in the given directories comes first, and what they lack is taken from where it usually is.
func TestTheClientToolsPathIsSearchedFirstAndNotOnly(t *testing.T) {
	src := small(t, "tools path")
	empty, marked := t.TempDir(), filepath.Join(t.TempDir(), "taken")
	first := enginetest.FakeTool(t, tool("pg_dump"), "touch "+marked+"; exec "+tool("pg_dump")+` "$@"`)
	enginetest.Dump(t, postgres.New(postgres.Options{BinDirs: []string{empty}}), src, engine.DumpOptions{})
	require.NoFileExists(t, marked)
	enginetest.Dump(t, postgres.New(postgres.Options{BinDirs: []string{empty, first}}), src, engine.DumpOptions{})
	require.FileExists(t, marked, "a tool of the usual places was taken")
}

func TestAToolOlderThanTheServerIsNotUsed(t *testing.T) {
	src := small(t, "newer server")
	dir := t.TempDir()
	fake := "#!/bin/sh\necho 'pg_dump (PostgreSQL) 14.9'\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pg_dump"), []byte(fake), 0o755)) //nolint:gosec // a program
	_, _, err := enginetest.TryDump(t, withTools(dir), src, engine.DumpOptions{})
	enginetest.RequireClass(t, failure.ToolMissing, err)
	require.Contains(t, err.Error(), "14.9")
	require.Contains(t, failure.HintOf(err), "postgresql-client-15")
}

func TestADatabaseWithoutTablesDumpsAndRestores(t *testing.T) {
	src := create(t, "empty database", "")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	target := fresh(t)
	report := enginetest.Restore(t, newEngine(), src, archive.Request("cccc0002", target), archive.Opener())
	require.Zero(t, report.Tables)
}

func TestATableThatMayNotBeReadIsTold(t *testing.T) {
	execute(t, source(t, "postgres"), `CREATE ROLE blind LOGIN PASSWORD 'blind'`)
	t.Cleanup(func() { execute(t, source(t, "postgres"), "DROP ROLE blind") })
	src := small(t, "unreadable")
	src.Config.Username, src.Config.Password = "blind", "blind"
	_, _, err := enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{})
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.Contains(t, err.Error(), "permission denied for table kept")
}

func TestTLSThatTheServerDoesNotOfferIsAMatterOfConfiguration(t *testing.T) {
	src := small(t, "no tls")
	src.Config.SSLMode = domain.SSLRequire
	_, err := newEngine().Probe(enginetest.Context(t), src)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.Contains(t, failure.HintOf(err), "ssl_mode")
}

func TestAUnixSocketWorks(t *testing.T) {
	if server.SocketDir() == "" {
		require.Fail(t, "the test server has no socket")
	}
	src := small(t, "socket")
	src.Config.Host = server.SocketDir()
	enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
}

func TestAHostThatDoesNotResolveIsUnreachable(t *testing.T) {
	src := source(t, "postgres")
	src.Config.Host = "no-such-host.invalid"
	_, err := newEngine().Probe(enginetest.Context(t), src)
	require.Contains(t, []failure.Class{failure.Unreachable, failure.Timeout}, failure.ClassOf(err), "%v", err)
}
