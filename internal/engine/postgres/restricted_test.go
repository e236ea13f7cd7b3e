package postgres_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

// A managed service gives its customers a user that may make roles and databases, is no superuser, and does not see
// pg_authid; extensions and large parts of the catalog belong to another one.
func TestTheUserOfAManagedServiceBacksUpAndRestores(t *testing.T) {
	admin := source(t, "postgres")
	execute(t, admin, "CREATE ROLE managed_admin NOLOGIN", "CREATE ROLE master_user LOGIN PASSWORD 'managed' CREATEDB CREATEROLE", "GRANT managed_admin TO master_user")
	t.Cleanup(func() { execute(t, admin, "DROP ROLE master_user, managed_admin") })
	create(t, "managed", "OWNER master_user")
	execute(t, in(admin, "managed"), "CREATE EXTENSION pg_trgm", "GRANT CREATE ON SCHEMA public TO master_user")
	src := in(admin, "managed")
	src.Config.Username, src.Config.Password = "master_user", "managed"
	execute(t, src, "CREATE TABLE t (id serial PRIMARY KEY, name text)", "CREATE INDEX ON t USING gin (name gin_trgm_ops)",
		"INSERT INTO t (name) SELECT 'n' || i FROM generate_series(1, 1000) i", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	want := queryStrings(t, src, "select id || name from t order by id")

	archive, report := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	require.Empty(t, report.Warnings)
	req := archive.Request("dddd0001", fresh(t))
	staged := enginetest.Restore(t, newEngine(), src, req, archive.Opener())
	require.Contains(t, strings.Join(staged.Warnings, "\n"), "is not a superuser")
	require.Equal(t, want, queryStrings(t, in(src, req.Target), "select id || name from t order by id"))

	globals, warnings := dumpGlobals(t, newEngine(), in(src, ""))
	require.Len(t, warnings, 1, "it may not read pg_authid")
	require.NotContains(t, string(globals.Bytes), "SCRAM-SHA-256")
	schema, err := newEngine().Schema(enginetest.Context(t), src)
	require.NoError(t, err)
	require.NotEmpty(t, schema.Objects)
}
