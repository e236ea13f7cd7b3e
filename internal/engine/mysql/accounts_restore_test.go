package mysql_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestAccountsThatAreMissingAreMadeAndOthersLeftAlone(t *testing.T) {
	drop := []string{"DROP USER IF EXISTS 'glob''al; `x'@'10.%', glob_kept@'%', glob_limited@'%'", "DROP ROLE IF EXISTS glob_readers"}
	t.Cleanup(func() { execute(t, "", drop...) })
	execute(t, "", "CREATE ROLE glob_readers", "GRANT SELECT ON mysql.* TO glob_readers", "CREATE USER 'glob''al; `x'@'10.%' IDENTIFIED BY 'glob-secret' WITH MAX_USER_CONNECTIONS 7",
		"GRANT glob_readers TO 'glob''al; `x'@'10.%'", "GRANT INSERT ON mysql.* TO 'glob''al; `x'@'10.%' WITH GRANT OPTION", "CREATE USER glob_kept@'%' IDENTIFIED BY 'old'")
	var text string
	var stream engine.Stream
	_, err := newEngine().DumpGlobals(enginetest.Context(t), source(""), func(_ context.Context, s engine.Stream, r io.Reader) error {
		content, err := io.ReadAll(r)
		text, stream = string(content), s
		return err
	})
	require.NoError(t, err)
	state := func() (found []string) {
		for _, name := range []string{"'glob''al; `x'@'10.%'", "glob_readers"} {
			found = append(found, queryRows(t, "", "show grants for "+name)...)
		}
		return append(found, queryRows(t, "", "show create user 'glob''al; `x'@'10.%'")...)
	}
	before := state()
	restore := func(src engine.Source) (done, not []string) {
		require.NoError(t, newEngine().RestoreGlobals(enginetest.Context(t), src, stream, strings.NewReader(text), func(ok bool, what string) {
			require.NotContains(t, what, "*")
			switch {
			case !strings.Contains(what, "glob"):
			case ok:
				done = append(done, what)
			default:
				not = append(not, what)
			}
		}))
		return done, not
	}
	execute(t, "", "DROP USER 'glob''al; `x'@'10.%'", "DROP ROLE glob_readers", "ALTER USER glob_kept@'%' IDENTIFIED BY 'new'")
	kept := queryRows(t, "", "show create user glob_kept@'%'")
	done, not := restore(source(""))
	require.ElementsMatch(t, []string{"account glob'al; `x@10.% was made", "account glob_readers@ was made"}, done)
	require.Equal(t, []string{"account glob_kept@% exists and was left as it is"}, not)
	require.Equal(t, before, state())
	require.Equal(t, kept, queryRows(t, "", "show create user glob_kept@'%'"))

	execute(t, "", "DROP USER 'glob''al; `x'@'10.%'", "CREATE USER glob_limited@'%' IDENTIFIED BY 'limited'", "GRANT SELECT ON mysql.user TO glob_limited@'%'")
	limited := source("")
	limited.Config.Username, limited.Config.Password = "glob_limited", "limited"
	done, not = restore(limited)
	require.Empty(t, done)
	require.Contains(t, strings.Join(not, "\n"), "was not made")
	err = newEngine().RestoreGlobals(enginetest.Context(t), source(""), stream, strings.NewReader(text[:len(text)-3]), func(bool, string) { t.Error("nothing may happen") })
	enginetest.RequireClass(t, failure.Corrupt, err)
}
