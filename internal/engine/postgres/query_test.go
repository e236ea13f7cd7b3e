package postgres_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/postgres"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// newQueried is a small database.
func newQueried(t *testing.T) engine.Source {
	t.Helper()
	src := create(t, "quéried "+t.Name(), "TEMPLATE template0 ENCODING 'UTF8'")
	dropAfter(t, src.Config.Database)
	execute(t, src,
		"CREATE TABLE things (id int PRIMARY KEY, name varchar(20) NOT NULL, wide text)",
		"INSERT INTO things SELECT i, 'thing ' || i, repeat('x', 20000) FROM generate_series(1, 1500) i",
		"CREATE SEQUENCE numbers",
		"CREATE VIEW names AS SELECT name FROM things",
		"CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM things",
		"CREATE TABLE parted (d date, v numeric(8,2)) PARTITION BY RANGE (d)",
		"CREATE TABLE parted_a PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
		"CREATE TABLE parted_b PARTITION OF parted FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY RANGE (d)",
		"CREATE TABLE parted_b1 PARTITION OF parted_b FOR VALUES FROM ('2025-01-01') TO ('2025-07-01')",
		"INSERT INTO parted SELECT '2024-12-30'::date + i, i FROM generate_series(0, 99) i",
		"CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'INSERT INTO things VALUES (-1, ''x''); SELECT 1'",
		"ANALYZE")
	return src
}

func TestAQueryAnswersWithValuesThatJSONHas(t *testing.T) {
	src := newQueried(t)
	result, err := newEngine().Query(enginetest.Context(t), src, `SELECT true AS yes, 7::int2, 9007199254740993::int8, 1.5::float8, 'NaN'::float8, 1.10::numeric(4,2),
		'\x00ff'::bytea, NULL::text, 'ünï'::varchar(9), '2024-02-29 12:00+00'::timestamptz AT TIME ZONE 'UTC', ARRAY[1,2], '{"a": 1}'::jsonb, true AS yes; -- the end`)
	require.NoError(t, err)
	require.Equal(t, [][]any{{true, int64(7), "9007199254740993", 1.5, "NaN", "1.10", "AP8=", nil, "ünï", "2024-02-29 12:00:00", "{1,2}", `{"a": 1}`, true}}, result.Rows)
	require.Equal(t, domain.SchemaColumn{Name: "yes", Type: "boolean", Nullable: true}, result.Columns[0])
	require.Equal(t, "numeric(4,2)", result.Columns[5].Type)
	require.False(t, result.Truncated)
	for name, statement := range map[string]string{
		"values": "VALUES (1), (2)", "with": "WITH x AS (SELECT ';') SELECT * FROM x", "a table": "TABLE counted", "no columns": "SELECT",
	} {
		t.Run(name, func(t *testing.T) {
			result, err := newEngine().Query(enginetest.Context(t), src, statement)
			require.NoError(t, err)
			require.NotEmpty(t, result.Rows)
		})
	}
}

func TestAQueryOnlyReads(t *testing.T) {
	src := newQueried(t)
	file := filepath.Join(t.TempDir(), "written")
	for name, statement := range map[string]string{
		"an insert":                      "INSERT INTO things VALUES (0, 'x')",
		"an insert in a with":            "WITH x AS (INSERT INTO things VALUES (0, 'x') RETURNING 1) SELECT * FROM x",
		"a select into":                  "SELECT 1 INTO made",
		"a select for update":            "SELECT * FROM things FOR UPDATE",
		"a function that writes":         "SELECT writes()",
		"a sequence":                     "SELECT nextval('numbers')",
		"a program":                      "COPY (SELECT 1) TO PROGRAM 'touch " + file + "'",
		"a file":                         "COPY (SELECT 1) TO '" + file + "'",
		"a file from the client":         "COPY things FROM STDIN",
		"a second statement":             "SELECT 1; DROP TABLE things",
		"the end of the transaction":     "SELECT 1; COMMIT; DROP TABLE things",
		"a block of code":                "DO $$ BEGIN DELETE FROM things; END $$",
		"a transaction that may write":   "SELECT set_config('transaction_read_only', 'off', true)",
		"a transaction that may write 2": "WITH a AS MATERIALIZED (SELECT set_config('transaction_read_only', 'off', true)) SELECT writes() FROM a",
		"a setting":                      "SET statement_timeout = 0",
		"no SQL":                         "SELEC 1",
		"nothing":                        "",
		"a table that is not there":      "SELECT * FROM missing",
		"a division by zero":             "SELECT 1/0",
		"a row that fills the memory":    "SELECT repeat('x', 100000000)",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newEngine().Query(enginetest.Context(t), src, statement)
			enginetest.RequireClass(t, failure.ConfigInvalid, err)
			require.NotEmpty(t, failure.HintOf(err))
		})
	}
	// Until version 16 the server lets a read-only transaction make large objects; it is never committed.
	_, err := newEngine().Query(enginetest.Context(t), src, "SELECT lo_create(4711)")
	if err != nil {
		enginetest.RequireClass(t, failure.ConfigInvalid, err)
	}
	require.Equal(t, []string{"1500", "0"}, queryStrings(t, src, "SELECT count(*)::text FROM things UNION ALL SELECT count(*)::text FROM pg_largeobject_metadata"))
	_, err = os.Stat(file)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAQueryIsBounded(t *testing.T) {
	src := newQueried(t)
	result, err := newEngine().Query(enginetest.Context(t), src, "SELECT id, name FROM things")
	require.NoError(t, err)
	require.True(t, result.Truncated)
	require.Len(t, result.Rows, domain.MaxQueryRows)
	require.Equal(t, "character varying(20)", result.Columns[1].Type)

	result, err = newEngine().Query(enginetest.Context(t), src, "SELECT id, wide FROM things")
	require.NoError(t, err)
	require.True(t, result.Truncated)
	require.Less(t, len(result.Rows), 500)
	require.Equal(t, []string{"id", "wide"}, []string{result.Columns[0].Name, result.Columns[1].Name})

	execute(t, src, `ALTER DATABASE "`+src.Config.Database+`" SET statement_timeout = '1h'`)
	ctx := enginetest.Context(t)
	locked := hold("things")(t, src)
	defer locked()
	_, err = postgres.New(postgres.Options{QueryTimeout: 300 * time.Millisecond}).Query(ctx, src, "SELECT count(*) FROM things")
	enginetest.RequireClass(t, failure.Timeout, err)
}

func TestTheSchemaTellsTablesColumnsAndExtensions(t *testing.T) {
	src := newQueried(t)
	schema, err := newEngine().Schema(enginetest.Context(t), src)
	require.NoError(t, err)
	require.False(t, schema.Truncated)
	require.Contains(t, schema.Databases, src.Config.Database)
	require.Contains(t, schema.Extensions[0], "plpgsql ")
	kinds := map[string]string{}
	byName := map[string]domain.SchemaObject{}
	for _, object := range schema.Objects {
		kinds[object.Name], byName[object.Name] = object.Kind, object
		require.Equal(t, "public", object.Schema)
		require.Equal(t, src.Config.Database, object.Database)
	}
	require.Equal(t, map[string]string{"things": "table", "names": "view", "counted": "materialized view", "parted": "partitioned table"}, kinds)
	require.EqualValues(t, 1500, byName["things"].Rows)
	require.Positive(t, byName["things"].Bytes)
	require.EqualValues(t, 100, byName["parted"].Rows, "of its partitions")
	require.EqualValues(t, 2*8192, byName["parted"].Bytes)
	require.EqualValues(t, -1, byName["names"].Rows)
	require.Equal(t, []domain.SchemaColumn{{Name: "id", Type: "integer"}, {Name: "name", Type: "character varying(20)"}, {Name: "wide", Type: "text", Nullable: true}}, byName["things"].Columns)

	src.Config.Database = "no such database"
	_, err = newEngine().Schema(enginetest.Context(t), src)
	enginetest.RequireClass(t, failure.NotFound, err)
}

func TestTheSchemaIsBounded(t *testing.T) {
	src := create(t, "endless", "")
	execute(t, src, fmt.Sprintf(`DO $$ BEGIN FOR i IN 1..%d LOOP EXECUTE format('CREATE VIEW v%%s AS SELECT 1 AS a', i); END LOOP; END $$`, domain.MaxSchemaObjects+1))
	schema, err := newEngine().Schema(enginetest.Context(t), src)
	require.NoError(t, err)
	require.True(t, schema.Truncated)
	require.Len(t, schema.Objects, domain.MaxSchemaObjects)

	wide := create(t, "wide", "")
	execute(t, wide, fmt.Sprintf(`DO $$ BEGIN FOR i IN 1..%d LOOP EXECUTE format('CREATE TABLE t%%s (%%s)', i,
		(SELECT string_agg('c' || n || ' int', ', ') FROM generate_series(1, 1000) n)); END LOOP; END $$`, domain.MaxSchemaColumns/1000+1))
	schema, err = newEngine().Schema(enginetest.Context(t), wide)
	require.NoError(t, err)
	require.True(t, schema.Truncated)
	columns := 0
	for _, object := range schema.Objects {
		columns += len(object.Columns)
	}
	require.LessOrEqual(t, columns, domain.MaxSchemaColumns)
	require.Positive(t, columns)
}

func TestTheDatabasesOfAServerAreThoseWithData(t *testing.T) {
	src := newQueried(t)
	src2 := create(t, "postgrés empty", "")
	dropAfter(t, src2.Config.Database)
	anywhere := src
	anywhere.Config.Database = ""
	names, err := newEngine().Databases(enginetest.Context(t), anywhere)
	require.NoError(t, err)
	require.Contains(t, names, src.Config.Database)
	require.Contains(t, names, src2.Config.Database, "an empty database is somebody's")
	require.NotContains(t, names, "postgres", "nobody keeps data there")
	require.NotContains(t, names, "template1")
}

func TestAHookMayWrite(t *testing.T) {
	src := newQueried(t)
	require.NoError(t, newEngine().Execute(enginetest.Context(t), src, "DELETE FROM things"))
	require.NoError(t, newEngine().Execute(enginetest.Context(t), src, "VACUUM things"))
	require.Equal(t, []string{"0"}, queryStrings(t, src, "SELECT count(*)::text FROM things"))
	enginetest.RequireClass(t, failure.ConfigInvalid, newEngine().Execute(enginetest.Context(t), src, "SELECT 1; SELECT 2"))
}
