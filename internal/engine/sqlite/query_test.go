package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestAQueryAnswersWithValuesThatJSONHas(t *testing.T) {
	result, err := newEngine().Query(enginetest.Context(t), newSample(t),
		"-- everything\nSELECT i, r, t, b, n, any, d FROM plain WHERE id <= 3 ORDER BY id; -- the end")
	require.NoError(t, err)
	require.False(t, result.Truncated)
	require.Equal(t, [][]any{
		{int64(1), 1.5, "x", "AP8A", int64(12), nil, "2024-01-02 03:04:05"},
		{"9223372036854775807", -1e308, "emoji 😀 'quoted'", "", 3.25, "AQ==", nil},
		{nil, nil, "", result.Rows[2][3], "text in a number", "text", int64(17)},
	}, result.Rows)
	require.Equal(t, domain.SchemaColumn{Name: "d", Type: "DATETIME", Nullable: true}, result.Columns[6])
	for name, statement := range map[string]string{
		"values":        "VALUES (1), (2)",
		"with":          "WITH x AS (SELECT ';') SELECT * FROM x",
		"explain":       "EXPLAIN QUERY PLAN SELECT * FROM plain",
		"table columns": "SELECT name FROM pragma_table_info('plain')",
		"a comment":     "SELECT 1 -- ; DROP TABLE plain",
		"the same name": "SELECT 1 AS x, 2 AS x",
	} {
		t.Run(name, func(t *testing.T) {
			result, err := newEngine().Query(enginetest.Context(t), newSample(t), statement)
			require.NoError(t, err)
			require.NotEmpty(t, result.Rows)
		})
	}
}

func TestAQueryOnlyReadsItsOwnFile(t *testing.T) {
	src := newSample(t)
	before := content(t, src)
	dir := t.TempDir()
	other := filepath.Join(dir, "other.db")
	db := connect(t, other)
	exec(t, db, "CREATE TABLE secret (x)")
	require.NoError(t, db.Close())
	for name, statement := range map[string]string{
		"an insert":                          "INSERT INTO keyed VALUES (1, 2)",
		"an insert in a with":                "WITH x AS (SELECT 1) INSERT INTO keyed SELECT 1, 2 FROM x",
		"an insert with returning":           "WITH x AS (SELECT 1) DELETE FROM plain RETURNING *",
		"a drop":                             "DROP TABLE plain",
		"a pragma":                           "PRAGMA user_version = 1",
		"a pragma as a function":             "SELECT * FROM pragma_hard_heap_limit(1)",
		"another database":                   "ATTACH '" + other + "' AS other",
		"another database, behind a query":   "SELECT 1; ATTACH '" + other + "' AS other",
		"another database, behind a bracket": "SELECT 1); ATTACH '" + other + "' AS other; SELECT (1",
		"a copy into a file":                 "VACUUM INTO '" + dir + "/copy.db'",
		"a copy behind a quote":              "SELECT 'a;''b' ; VACUUM INTO '" + dir + "/copy.db'",
		"an extension":                       "SELECT load_extension('libc.so.6')",
		"a write to a page":                  "WITH x AS (SELECT 1) UPDATE sqlite_dbpage SET data = zeroblob(4096)",
		"nothing":                            " -- nothing",
		"no SQL":                             "SELEC 1",
		"a table that is not there":          "SELECT * FROM missing",
		"a value that is too long":           "SELECT zeroblob(100000000)",
		"an answer that fills the memory":    "SELECT group_concat(hex(zeroblob(5000000))) FROM plain",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newEngine().Query(enginetest.Context(t), src, statement)
			enginetest.RequireClass(t, failure.ConfigInvalid, err)
			require.NotEmpty(t, failure.HintOf(err))
		})
	}
	require.Equal(t, before, content(t, src))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestAQueryIsBounded(t *testing.T) {
	src := newSample(t)
	result, err := newEngine().Query(enginetest.Context(t), src, "SELECT id FROM plain")
	require.NoError(t, err)
	require.True(t, result.Truncated)
	require.Len(t, result.Rows, domain.MaxQueryRows)

	result, err = newEngine().Query(enginetest.Context(t), src, "SELECT printf('%.*c', 1000000, 'x') FROM plain LIMIT 30")
	require.NoError(t, err)
	require.True(t, result.Truncated)
	require.Len(t, result.Rows, domain.MaxQueryBytes/1_000_000+1)

	for name, statement := range map[string]string{
		"that never has a row":     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
		"that has one row, slowly": "SELECT 1 UNION ALL SELECT count(*) FROM plain a, plain b, plain c WHERE a.b < b.b AND b.b < c.b",
	} {
		t.Run("a query "+name+" ends", func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, err := newEngine().Query(ctx, src, statement)
			enginetest.RequireClass(t, failure.Timeout, err)
			require.Less(t, time.Since(start), 10*time.Second)
		})
	}
}

func TestTheSchemaTellsTablesAndColumns(t *testing.T) {
	src := newSample(t)
	db := connect(t, src.Config.FilePath)
	exec(t, db, "ANALYZE")
	require.NoError(t, db.Close())
	schema, err := newEngine().Schema(enginetest.Context(t), src)
	require.NoError(t, err)
	require.False(t, schema.Truncated)
	require.Len(t, schema.Objects, sampleTables+1)
	byName := map[string]domain.SchemaObject{}
	for _, object := range schema.Objects {
		byName[object.Name] = object
	}
	plain := byName["plain"]
	require.Equal(t, "table", plain.Kind)
	require.EqualValues(t, 4003, plain.Rows)
	require.Greater(t, plain.Bytes, int64(200_000))
	require.Equal(t, []domain.SchemaColumn{
		{Name: "id", Type: "INTEGER", Nullable: false}, {Name: "i", Type: "INTEGER", Nullable: true}, {Name: "r", Type: "REAL", Nullable: true},
		{Name: "t", Type: "TEXT", Nullable: false}, {Name: "b", Type: "BLOB", Nullable: true}, {Name: "n", Type: "NUMERIC", Nullable: true},
		{Name: "d", Type: "DATETIME", Nullable: true}, {Name: "any", Type: "", Nullable: true},
	}, plain.Columns)
	require.Equal(t, "view", byName["seen"].Kind)
	require.Len(t, byName["strict_one"].Columns, 3, "a generated column is one")
	require.Contains(t, byName, `wéird " name`)
}

func TestAHookMayWrite(t *testing.T) {
	src := newSample(t)
	require.NoError(t, newEngine().Execute(enginetest.Context(t), src, "DELETE FROM plain"))
	result, err := newEngine().Query(enginetest.Context(t), src, "SELECT count(*) FROM plain")
	require.NoError(t, err)
	require.Equal(t, [][]any{{int64(0)}}, result.Rows)
	enginetest.RequireClass(t, failure.ConfigInvalid, newEngine().Execute(enginetest.Context(t), src, "SELEC"))
	enginetest.RequireClass(t, failure.NotFound, newEngine().Execute(enginetest.Context(t), in(src, src.Config.FilePath+strings.Repeat("x", 3)), "SELECT 1"))
}
