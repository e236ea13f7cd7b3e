package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

const settingSecret = "hunter2-of-the-application"

// The server quotes a value that it does not take, so neither its text nor the statement is shown.
func TestAWarningAboutASettingNamesItWithoutItsValue(t *testing.T) {
	src := small(t, "refused setting")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	archive.Stream.Properties["settings"] = `[{"name":"work_mem","value":"` + settingSecret + `"},
		{"name":"app.jwt_secret","role":"nobody here","value":"` + settingSecret + `"}]`
	target := fresh(t)
	report := enginetest.Restore(t, newEngine(), src, archive.Request("bbbb0020", target), archive.Opener())
	require.Len(t, report.Warnings, 2)
	require.NotContains(t, strings.Join(report.Warnings, "\n"), settingSecret)
	require.Contains(t, report.Warnings[0], `setting "work_mem" of database`)
	require.Contains(t, report.Warnings[0], "SQLSTATE 22023")
	require.Contains(t, report.Warnings[1], `setting "app.jwt_secret" of role "nobody here" in database`)
	require.Contains(t, report.Warnings[1], "SQLSTATE 42704")
}

func TestAnErrorAboutASettingNamesItWithoutItsValue(t *testing.T) {
	execute(t, source(t, "postgres"), `CREATE ROLE keeper LOGIN CREATEDB PASSWORD 'keeper'`)
	t.Cleanup(func() { execute(t, source(t, "postgres"), "DROP ROLE keeper") })
	src := small(t, "carried setting source")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	target := create(t, "carried setting", "OWNER keeper")
	// What only a superuser may set.
	execute(t, target, `ALTER DATABASE "carried setting" SET dynamic_library_path TO '/`+settingSecret+`'`)
	target.Config.Username, target.Config.Password = "keeper", "keeper"
	req, ctx := archive.Request("bbbb0021", "carried setting"), enginetest.Context(t)
	_, err := newEngine().Stage(ctx, target, req, archive.Opener())
	require.NoError(t, err)
	_, err = newEngine().Promote(ctx, target, req)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.NotContains(t, failure.Message(err), settingSecret)
	require.Contains(t, failure.Message(err), `setting "dynamic_library_path" of database "carried setting"`)
	var answer *pgconn.PgError
	require.ErrorAs(t, err, &answer)
	require.NotContains(t, answer.Error(), settingSecret)
	require.NoError(t, newEngine().Discard(ctx, target, req))
}
