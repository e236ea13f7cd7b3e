package mysql_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestASchemaListsTablesAndTheirColumns(t *testing.T) {
	src := newSample(t, "described")
	schema, err := newEngine().Schema(enginetest.Context(t), src)
	require.NoError(t, err)
	require.Contains(t, schema.Databases, "described")
	require.NotContains(t, schema.Databases, "mysql")
	found := map[string]domain.SchemaObject{}
	for _, object := range schema.Objects {
		found[object.Name] = object
	}
	require.Len(t, found, sampleTables+3)
	require.Equal(t, "table", found["orders"].Kind)
	require.Positive(t, found["orders"].Rows)
	require.Positive(t, found["orders"].Bytes)
	require.Equal(t, domain.SchemaColumn{Name: "total", Type: "decimal(12,2)", Nullable: true}, found["orders"].Columns[3])
	require.Equal(t, "view", found["paid"].Kind)
	require.Equal(t, "sequence", found["ticket"].Kind)
}

func TestAQueryReadsAndNeverWrites(t *testing.T) {
	src := create(t, "queried", "", "CREATE TABLE t (n bigint, d decimal(5,2), f double, b varbinary(10), s varchar(20), u bigint unsigned)",
		"INSERT INTO t VALUES (1, 1.50, 2.5, x'00ff', 'ünï', 18446744073709551615), (NULL, NULL, NULL, NULL, NULL, NULL)",
		"CREATE PROCEDURE sly() BEGIN COMMIT; SET SESSION TRANSACTION READ WRITE; INSERT INTO t (n) VALUES (2); END",
		"CREATE FUNCTION writes() RETURNS int BEGIN INSERT INTO t (n) VALUES (3); RETURN 1; END")
	e := newEngine()
	result, err := e.Query(enginetest.Context(t), src, "SELECT * FROM t ORDER BY n DESC")
	require.NoError(t, err)
	require.Equal(t, []any{int64(1), "1.50", 2.5, "AP8=", "ünï", "18446744073709551615"}, result.Rows[0])
	require.Equal(t, []any{nil, nil, nil, nil, nil, nil}, result.Rows[1])
	result, err = e.Query(enginetest.Context(t), src, "SELECT * FROM mysql.help_topic a, mysql.help_topic b LIMIT 2000")
	if err == nil && len(result.Rows) > 0 {
		require.Len(t, result.Rows, domain.MaxQueryRows)
		require.True(t, result.Truncated)
	}
	for _, statement := range []string{
		"INSERT INTO t (n) VALUES (9)", "CALL sly()", "SELECT writes()", "DROP TABLE t", "SET GLOBAL read_only = 1",
		"SELECT * FROM t INTO OUTFILE '/tmp/dataguardian-never'", "SELECT 1; DROP TABLE t", "SELECT wrong FROM t", "/*! DROP TABLE t */",
	} {
		_, err := e.Query(enginetest.Context(t), src, statement)
		enginetest.RequireClass(t, failure.ConfigInvalid, err)
	}
	require.Equal(t, []string{`"2"`}, queryRows(t, "queried", "select count(*) from t"))
	require.NoError(t, e.Execute(enginetest.Context(t), src, "INSERT INTO t (n) VALUES (10)"))
	require.Equal(t, []string{`"3"`}, queryRows(t, "queried", "select count(*) from t"))
}

func TestAccountsAreDumpedAsSQLThatMakesThemAgain(t *testing.T) {
	execute(t, "", "CREATE ROLE readers", "CREATE USER 'o''brien'@'10.%' IDENTIFIED BY 'secret'", "GRANT SELECT ON mysql.* TO readers", "GRANT readers TO 'o''brien'@'10.%'")
	undo := []string{"DROP USER IF EXISTS 'o''brien'@'10.%'", "DROP ROLE IF EXISTS readers"}
	t.Cleanup(func() { execute(t, "", undo...) })
	dump := func(src engine.Source) (string, engine.Stream, []string) {
		var text string
		var stream engine.Stream
		warnings, err := newEngine().DumpGlobals(enginetest.Context(t), src, func(_ context.Context, s engine.Stream, r io.Reader) error {
			content, err := io.ReadAll(r)
			text, stream = string(content), s
			return err
		})
		require.NoError(t, err)
		return text, stream, warnings
	}
	before, stream, warnings := dump(source(""))
	require.LessOrEqual(t, len(warnings), 1, "the test server resolves no names, and has an account for one")
	execute(t, "", undo...)
	for statement := range strings.Lines(before) {
		if strings.Contains(statement, "o'brien") || strings.Contains(statement, "readers") { // the others are still there
			execute(t, "", strings.TrimRight(statement, ";\n"))
		}
	}
	after, _, _ := dump(source(""))
	require.Equal(t, before, after)
	require.Contains(t, after, "o'brien")

	_, err := newEngine().Inspect(enginetest.Context(t), stream, strings.NewReader(before))
	require.NoError(t, err)
	_, err = newEngine().Inspect(enginetest.Context(t), stream, strings.NewReader(before[:len(before)-1]))
	enginetest.RequireClass(t, failure.Corrupt, err)

	execute(t, "", "CREATE USER little@'%' IDENTIFIED BY 'little'")
	t.Cleanup(func() { execute(t, "", "DROP USER little@'%'") })
	little := source("")
	little.Config.Username, little.Config.Password = "little", "little"
	text, _, warnings := dump(little)
	require.Contains(t, text, "little")
	require.NotContains(t, text, "o'brien")
	require.Len(t, warnings, 1)
}
