package mysql_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/mysql"
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

func TestAQueryIsBounded(t *testing.T) {
	src := create(t, "bounded", "", "CREATE TABLE t (n int PRIMARY KEY, wide longtext)", "INSERT INTO t SELECT seq, 'x' FROM seq_1_to_2000")
	e, ctx := newEngine(), enginetest.Context(t)
	result, err := e.Query(ctx, src, "SELECT n FROM t")
	require.NoError(t, err)
	require.Len(t, result.Rows, domain.MaxQueryRows)
	require.True(t, result.Truncated)

	result, err = e.Query(ctx, src, "SELECT n, repeat('x', 100000) FROM t")
	require.NoError(t, err)
	require.True(t, result.Truncated)
	require.Less(t, len(result.Rows), 100)

	// 2,000³ rows: an answer that is read to its end would take hours.
	start := time.Now()
	result, err = e.Query(ctx, src, "SELECT a.n FROM t a, t b, t c")
	require.NoError(t, err)
	require.True(t, result.Truncated)
	require.Less(t, time.Since(start), domain.QueryTimeout/2)
	require.Eventually(t, func() bool {
		return len(queryRows(t, "", "select id from information_schema.processlist where info like 'SELECT a.n%'")) == 0
	}, 2*time.Minute, 20*time.Millisecond, "the server ends it too")

	execute(t, "", "SET GLOBAL max_allowed_packet = 1073741824")
	t.Cleanup(func() { execute(t, "", "SET GLOBAL max_allowed_packet = DEFAULT") })
	_, err = e.Query(ctx, src, "SELECT repeat('x', 100000000)")
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.ErrorContains(t, err, "a row of it has more than")

	hurried := mysql.New(domain.MariaDB, mysql.Options{QueryTimeout: 300 * time.Millisecond})
	_, err = hurried.Query(ctx, src, "SELECT count(*) FROM t a, t b, t c WHERE a.n + b.n + c.n < 0")
	enginetest.RequireClass(t, failure.Timeout, err)
}

func TestASchemaIsBounded(t *testing.T) {
	var columns, statements []string
	for i := range 1000 {
		columns = append(columns, fmt.Sprintf("c%d bit", i))
	}
	for i := range domain.MaxSchemaColumns/len(columns) + 1 {
		statements = append(statements, fmt.Sprintf("CREATE TABLE t%d (%s)", i, strings.Join(columns, ", ")))
	}
	src := create(t, "endless", "", statements...)
	schema, err := newEngine().Schema(enginetest.Context(t), src)
	require.NoError(t, err)
	require.True(t, schema.Truncated)
	found := 0
	for _, object := range schema.Objects {
		found += len(object.Columns)
	}
	require.Equal(t, domain.MaxSchemaColumns, found)
}

// The user of the tests may read everything, as one may who backs accounts up.
func TestAQueryDoesNotReadTheServersOwnSecrets(t *testing.T) {
	src := create(t, "curious", "", "CREATE TABLE mysqlish (sys_id int)", "INSERT INTO mysqlish VALUES (7)")
	for _, statement := range []string{
		"SELECT * FROM mysql.user", "SELECT * FROM `mysql`.global_priv", "SELECT * FROM MySQL . user", "SELECT * FROM mysql/* */./* */user", "(SELECT 1) UNION SELECT Priv FROM\tmysql.global_priv",
		"DESC mysql.user", "TABLE mysql.global_priv", "SHOW GRANTS", "SHOW GRANTS FOR keeper@'%'", "SHOW CREATE USER keeper@'%'", "SHOW  /* */ GRANTS", "(SHOW GRANTS)", "SHOW FULL PROCESSLIST", "SHOW BINLOG EVENTS",
		"SHOW VARIABLES", "SELECT info FROM information_schema.processlist", "SELECT LOAD_FILE('/etc/passwd')", "SELECT load_file/**/('/etc/passwd')", "SELECT * FROM performance_schema.threads", "SELECT * FROM sys.processlist",
		"SELECT 1 /*! FROM mysql.user */", "SELECT * FROM /*!50000mysql*/.user", "SELECT /*M!100100load_file*/('/etc/passwd')", "SHOW TABLES FROM mysql", "WITH x AS (SELECT * FROM mysql.user) SELECT * FROM x",
	} {
		_, err := newEngine().Query(enginetest.Context(t), src, statement)
		enginetest.RequireClass(t, failure.ConfigInvalid, err)
		require.NotEmpty(t, failure.HintOf(err), statement)
		err = newEngine().ReadColumn(enginetest.Context(t), src, statement, "Password", func(string) error { return nil })
		enginetest.RequireClass(t, failure.ConfigInvalid, err)
	}
	for _, statement := range []string{
		"SELECT sys_id FROM mysqlish", "SHOW TABLES", "SHOW CREATE TABLE mysqlish", "SHOW FULL COLUMNS FROM mysqlish", "EXPLAIN SELECT * FROM mysqlish",
		"SELECT table_name FROM information_schema.tables WHERE table_schema = 'curious'",
	} {
		result, err := newEngine().Query(enginetest.Context(t), src, statement)
		require.NoError(t, err, statement)
		require.NotEmpty(t, result.Rows, statement)
	}
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
