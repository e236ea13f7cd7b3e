package mysql_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	whole "github.com/dataguardian/dataguardian/internal/engine/databases"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/mysql"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// everyDatabase is a datasource of the whole server, but what other tests make.
func everyDatabase(exclude ...string) engine.Source {
	src := source("")
	src.Config.Databases = &domain.DatabaseSelection{All: true, Exclude: append(exclude, "[^z]*")}
	return src
}

func TestEveryDatabaseOfAServerIsBackedUpNewOnesIncludedAndEachCanBeRestored(t *testing.T) {
	rows := func(n int) []string {
		return []string{"CREATE TABLE t (n int PRIMARY KEY)", fmt.Sprintf("INSERT INTO t SELECT seq FROM seq_1_to_%d", n), "CREATE VIEW v AS SELECT count(*) AS n FROM t"}
	}
	names := []string{"z a/b & c", "z_tools"}
	create(t, names[0], "", rows(10)...)
	create(t, names[1], "CHARACTER SET latin1", rows(20)...)
	create(t, "z_left_out", "", rows(1)...)
	e, err := whole.Of(newEngine())
	require.NoError(t, err)
	src := everyDatabase("z_left*")
	first, report := enginetest.Dump(t, e, src, engine.DumpOptions{})
	require.LessOrEqual(t, len(report.Warnings), 1, "the test server has an account that it does not let in")
	require.Equal(t, names, whole.Names(first.Request("bbbb0001", "").Streams))

	create(t, "z_unseen", "", rows(30)...)
	archive, _ := enginetest.Dump(t, e, src, engine.DumpOptions{})
	request := archive.Request("bbbb0002", "")
	require.Equal(t, append(slices.Clone(names), "z_unseen"), whole.Names(request.Streams))
	require.NoError(t, e.CheckStreams(request.Streams))
	streams := []string{}
	for _, s := range archive.Streams() {
		streams = append(streams, s.Stream.Name)
		_, err := e.Inspect(enginetest.Context(t), s.Stream, bytes.NewReader(s.Bytes))
		require.NoError(t, err, s.Stream.Name)
	}
	require.Len(t, streams, 4, "one a database, and the accounts: %q", streams)
	count := func(database string) string { return queryRows(t, database, "select n from v")[0] }

	t.Run("one, under another name, from either", func(t *testing.T) {
		for i, backup := range []enginetest.Archive{first, archive} {
			req := backup.Request(fmt.Sprintf("bbbb001%d", i), fresh(t))
			req.Databases = names[1:]
			enginetest.Restore(t, e, src, req, backup.Opener())
			require.Equal(t, `"20"`, count(req.Target))
			require.Equal(t, []string{`"latin1"`}, queryRows(t, "", "select default_character_set_name from information_schema.schemata where schema_name = ?", req.Target))
		}
	})
	t.Run("all at once, under their own names", func(t *testing.T) {
		for _, name := range names {
			execute(t, name, "DELETE FROM t")
		}
		req := request
		req.Databases = append(slices.Clone(names), "z_unseen")
		enginetest.RequireClass(t, failure.ConfigInvalid, e.CheckTarget(enginetest.Context(t), src, req))
		req.DropExisting = true
		enginetest.Restore(t, e, src, req, archive.Opener())
		require.Equal(t, []string{`"10"`, `"20"`, `"30"`}, []string{count(names[0]), count(names[1]), count("z_unseen")})
		require.Equal(t, `"1"`, count("z_left_out"))
		require.NotContains(t, strings.Join(databases(t), "\n"), "_dg_")
	})
	t.Run("one that is not in the backup is refused", func(t *testing.T) {
		req := first.Request("bbbb0003", "")
		req.Databases = []string{"z_unseen"}
		err := e.CheckTarget(enginetest.Context(t), src, req)
		enginetest.RequireClass(t, failure.ConfigInvalid, err)
		require.ErrorContains(t, err, `"z_unseen"`)
	})
}

func TestMySQLIsAnEngineOfWholeServersToo(t *testing.T) {
	e, err := whole.Of(mysql.New(domain.MySQL, mysql.Options{}))
	require.NoError(t, err)
	_, _, err = enginetest.TryDump(t, e, everyDatabase("*"), engine.DumpOptions{})
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.ErrorContains(t, err, "none is left")
}
