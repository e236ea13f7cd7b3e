package mysql_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

func TestAColumnIsReadRowByRow(t *testing.T) {
	src := create(t, "columns", "", "CREATE TABLE t (id int, v varchar(90), n text, e enum('name'), b blob)",
		"INSERT INTO t SELECT seq, nullif(concat('ünï ', seq), 'ünï 7'), 'long', 'name', 'binary' FROM seq_1_to_5000",
		"CREATE PROCEDURE sly() BEGIN COMMIT; SET SESSION TRANSACTION READ WRITE; DELETE FROM t; END",
		"CREATE FUNCTION writes() RETURNS varchar(9) BEGIN INSERT INTO t (id) VALUES (3); RETURN 'x'; END")
	e := newEngine()
	values, err := enginetest.ReadColumn(t, e, src, enginetest.Column{Statement: "select id, v from t order by id; -- all", Column: "v"})
	require.NoError(t, err)
	require.Len(t, values, 4999, "a null is none")
	require.Equal(t, "ünï 5000", values[4998])
	for column, want := range map[string]string{"n": "long", "e": "name"} {
		values, err = enginetest.ReadColumn(t, e, src, enginetest.Column{Statement: "select * from t limit 1", Column: column})
		require.NoError(t, err)
		require.Equal(t, []string{want}, values)
	}
	enginetest.RequireReadsUntil(t, e, src, enginetest.Column{Statement: "select v from t", Column: "v"})
	enginetest.RequireRefused(t, e, src, map[string][3]string{
		"a column that is not there":      {"select v from t", "w", "no column `w`"},
		"a column of no rows":             {"select v from t where false", "w", "no column `w`"},
		"a column that is no text":        {"select id from t", "id", "no text"},
		"a column of bytes":               {"select b from t", "b", "no text"},
		"a table that is not there":       {"select v from other", "v", "other"},
		"a statement that writes":         {"delete from t returning v", "v", "only reads"},
		"a function that writes":          {"select writes() as v", "v", "READ ONLY transaction"},
		"a procedure that would end it":   {"call sly()", "v", "only reads"},
		"two statements":                  {"select v from t; delete from t", "v", "SQL syntax"},
		"a file of the server as its end": {"select v from t into outfile '/tmp/dataguardian-never'", "v", "only reads"},
		"nothing":                         {"", "v", "only reads"},
	})
	require.Equal(t, []string{`"5000"`}, queryRows(t, "columns", "select count(*) from t"))
}
