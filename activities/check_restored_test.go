package activities

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// countedEngine is an engine of one database whose streams say what they hold; its databases hold what rows says.
type countedEngine struct {
	rows   map[string]map[string]int64
	broken map[string][]string
}

func (c countedEngine) RecordedRows(streams []engine.Stream) (map[string]int64, bool, error) {
	return engine.RowsOf(streams[0])
}

func (c countedEngine) CountRows(_ context.Context, src engine.Source) (map[string]int64, error) {
	return c.rows[src.Config.Database], nil
}

func (c countedEngine) BrokenKeys(_ context.Context, src engine.Source) ([]string, int, error) {
	return c.broken[src.Config.Database], 1, nil
}

// Each database of a server is compared with what its own streams recorded.
func TestTheDatabasesOfAServerAreComparedEachWithItsOwnRows(t *testing.T) {
	says := func(rows map[string]int64) []engine.Stream {
		s := engine.Stream{Properties: map[string]string{}}
		if rows != nil {
			engine.SetRows(s.Properties, rows)
		}
		return []engine.Stream{s}
	}
	same := map[string]map[string]int64{"at_a": {"t": 2}, "at_b": {"t": 3}}
	for name, c := range map[string]struct {
		engine   countedEngine
		b        map[string]int64 // what is recorded of the second
		rows     string
		rowError string
		keyError string
	}{
		"both are as they were":           {countedEngine{rows: same}, map[string]int64{"t": 3}, "same", "", ""},
		"one lost a row":                  {countedEngine{rows: same}, map[string]int64{"t": 4}, "", `database "b": table t has 3 rows, 4 were dumped`, ""},
		"one has the rows of the other":   {countedEngine{rows: map[string]map[string]int64{"at_a": {"t": 2}, "at_b": {"t": 2}}}, map[string]int64{"t": 3}, "", `database "b"`, ""},
		"of one nothing is recorded":      {countedEngine{rows: same}, nil, "not recorded", "", ""},
		"one has a key that is broken":    {countedEngine{rows: same, broken: map[string][]string{"at_b": {"fk of table t"}}}, map[string]int64{"t": 3}, "same", "", `database "b": fk of table t`},
		"the other has a key that is not": {countedEngine{rows: same, broken: map[string][]string{"at_a": {"fk of table t"}}}, map[string]int64{"t": 3}, "same", "", `database "a": fk of table t`},
	} {
		t.Run(name, func(t *testing.T) {
			at := func(database string) engine.Source {
				return engine.Source{Config: domain.ConnectionConfig{Database: database}}
			}
			checks := restoredChecks{loaded: []loaded{
				{"a", c.engine, at("at_a"), says(map[string]int64{"t": 2})}, {"b", c.engine, at("at_b"), says(c.b)},
			}}
			err := checks.rows(t.Context())
			if c.rowError != "" {
				require.Equal(t, failure.Corrupt, failure.ClassOf(err))
				require.ErrorContains(t, err, c.rowError)
				require.NotContains(t, err.Error(), `database "a"`)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.rows, checks.report.RowCounts)
			require.Equal(t, int64(5), checks.report.Rows)
			err = checks.keys(t.Context())
			if c.keyError != "" {
				require.ErrorContains(t, err, c.keyError)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "valid", checks.report.ForeignKeys)
		})
	}
}
