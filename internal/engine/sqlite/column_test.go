package sqlite_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

func TestAColumnIsReadRowByRow(t *testing.T) {
	src := newSample(t)
	db := connect(t, src.Config.FilePath)
	exec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, v, d DATETIME)")
	exec(t, db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT i, nullif('ünï ' || i, 'ünï 7'), 'not a time' FROM n")
	exec(t, db, "CREATE TABLE mixed AS SELECT 'text' AS v UNION ALL SELECT 7")
	require.NoError(t, db.Close())
	before, e := content(t, src), newEngine()
	values, err := enginetest.ReadColumn(t, e, src, enginetest.Column{Statement: "SELECT id, v FROM t ORDER BY id; -- all", Column: "v"})
	require.NoError(t, err)
	require.Len(t, values, 4999, "a null is none")
	require.Equal(t, "ünï 5000", values[4998])
	enginetest.RequireReadsUntil(t, e, src, enginetest.Column{Statement: "SELECT v FROM t", Column: "v"})
	enginetest.RequireRefused(t, e, src, map[string][3]string{
		"a column that is not there": {"SELECT v FROM t", "w", `no column "w"`},
		"a column of no rows":        {"SELECT v FROM t WHERE false", "w", `no column "w"`},
		"a value that is no text":    {"SELECT v FROM mixed", "v", "no text"},
		"a table that is not there":  {"SELECT v FROM other", "v", "other"},
		"a statement that writes":    {"DELETE FROM t RETURNING v", "v", "does not begin with"},
		"a WITH that writes":         {"WITH x AS (SELECT 1) DELETE FROM t RETURNING v", "v", "readonly"},
		"two statements":             {"SELECT v FROM t; DELETE FROM t", "v", "more than one"},
		"nothing":                    {"", "v", "does not begin with"},
	})
	require.Equal(t, before, content(t, src))
}
