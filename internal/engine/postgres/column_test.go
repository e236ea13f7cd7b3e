package postgres_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestAColumnIsReadRowByRow(t *testing.T) {
	src := create(t, "columns", "")
	execute(t, src, "CREATE TABLE t (id int, v varchar(90), n name)", "INSERT INTO t SELECT i, nullif('ünï '||i, 'ünï 7'), 'name' FROM generate_series(1, 5000) i")
	read := func(statement, column string, each func(string) error) (values []string, err error) {
		err = newEngine().ReadColumn(enginetest.Context(t), src, statement, column, func(value string) error {
			values = append(values, value)
			return each(value)
		})
		return values, err
	}
	all := func(string) error { return nil }
	values, err := read("select id, v from t order by id; -- all", "v", all)
	require.NoError(t, err)
	require.Len(t, values, 4999, "a null is none")
	require.Equal(t, "ünï 5000", values[4998])
	values, err = read("select n from t limit 1", "n", all)
	require.NoError(t, err)
	require.Equal(t, []string{"name"}, values)
	values, err = read("select v from t where false", "v", all)
	require.NoError(t, err)
	require.Empty(t, values)

	enough := errors.New("enough")
	values, err = read("select v from t", "v", func(string) error { return enough })
	require.ErrorIs(t, err, enough)
	require.Len(t, values, 1)
	for name, c := range map[string]struct{ statement, column, says string }{
		"a column that is not there":       {"select v from t", "w", `no column "w"`},
		"a column of no rows":              {"select v from t where false", "w", `no column "w"`},
		"a column that is no text":         {"select id from t", "id", "no text"},
		"a table that is not there":        {"select v from other", "v", "other"},
		"a statement that writes":          {"delete from t returning v", "v", "read-only"},
		"a statement that returns none":    {"set work_mem = '1MB'", "v", `no column "v"`},
		"a program":                        {"copy (select v from t) to program 'exit 3'", "v", `no column "v"`},
		"two statements":                   {"commit; delete from t returning v", "v", "multiple commands"},
		"a division that fails at the end": {"select (1 / (5000 - id))::text as v from t order by id", "v", "division by zero"},
		"nothing":                          {"", "v", `no column "v"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(c.statement, c.column, all)
			enginetest.RequireClass(t, failure.ConfigInvalid, err)
			require.ErrorContains(t, err, c.says)
		})
	}
	require.Equal(t, []string{"5000"}, queryStrings(t, src, "select count(*)::text from t"))
}
