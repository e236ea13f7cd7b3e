package postgres_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// restoreGlobals puts a dump of roles back, and returns what is told of those that have "globals" in their names.
func restoreGlobals(t *testing.T, src engine.Source, archive enginetest.Archive) (done, not []string) {
	t.Helper()
	err := newEngine().RestoreGlobals(enginetest.Context(t), src, archive.Stream, bytes.NewReader(archive.Bytes), func(ok bool, what string) {
		require.NotContains(t, what, "SCRAM")
		switch {
		case !strings.Contains(what, "globals"):
		case ok:
			done = append(done, what)
		default:
			not = append(not, what)
		}
	})
	require.NoError(t, err)
	return done, not
}

func TestRolesThatAreMissingAreMadeAndOthersLeftAlone(t *testing.T) {
	admin := source(t, "postgres")
	drop := `DROP ROLE IF EXISTS globals_member, globals_kept, "globals; "" group", globals_limited`
	t.Cleanup(func() { execute(t, admin, drop) })
	execute(t, admin, `CREATE ROLE "globals; "" group" CREATEDB`, `COMMENT ON ROLE "globals; "" group" IS E'it''s; \\ a\nCREATE ROLE globals_evil;'`,
		"CREATE ROLE globals_member LOGIN PASSWORD 'globals-secret' CONNECTION LIMIT 7", `GRANT "globals; "" group" TO globals_member WITH ADMIN OPTION`,
		"ALTER ROLE globals_member SET work_mem = '7MB'", "CREATE ROLE globals_kept")
	state := `select rolname || rolcanlogin || rolcreatedb || rolconnlimit || coalesce(rolpassword, '-') || coalesce(shobj_description(oid, 'pg_authid'), '-') ||
		coalesce((select string_agg(setconfig::text, ',') from pg_db_role_setting where setrole = pg_authid.oid), '-') ||
		coalesce((select string_agg(roleid::regrole::text || admin_option, ',') from pg_auth_members where member = pg_authid.oid), '-')
		from pg_authid where rolname like 'globals%' order by 1`
	before := queryStrings(t, admin, state)
	archive, _ := dumpGlobals(t, newEngine(), source(t, ""))

	execute(t, admin, `DROP ROLE globals_member, "globals; "" group"`, "ALTER ROLE globals_kept CREATEROLE")
	done, not := restoreGlobals(t, source(t, ""), archive)
	require.Equal(t, []string{`role "globals; "" group" was made`, `role "globals_member" was made`}, done)
	require.Equal(t, []string{`role "globals_kept" exists and was left as it is`}, not)
	require.Equal(t, before, queryStrings(t, admin, state))
	require.Equal(t, []string{"true"}, queryStrings(t, admin, "select rolcreaterole::text from pg_roles where rolname = 'globals_kept'"))
	done, not = restoreGlobals(t, source(t, ""), archive)
	require.Empty(t, done)
	require.Len(t, not, 3, "again it does nothing")

	t.Run("a user who may not make roles is told of each", func(t *testing.T) {
		execute(t, admin, "DROP ROLE globals_member", "CREATE ROLE globals_limited LOGIN PASSWORD 'limited'")
		src := source(t, "")
		src.Config.Username, src.Config.Password = "globals_limited", "limited"
		done, not := restoreGlobals(t, src, archive)
		require.Empty(t, done)
		require.Contains(t, strings.Join(not, "\n"), `role "globals_member" was not made: permission denied`)
	})
	t.Run("one that is not whole makes none", func(t *testing.T) {
		err := newEngine().RestoreGlobals(enginetest.Context(t), source(t, ""), archive.Stream, bytes.NewReader(archive.Bytes[:len(archive.Bytes)-60]),
			func(bool, string) { t.Error("nothing may happen") })
		enginetest.RequireClass(t, failure.Corrupt, err)
	})
}
