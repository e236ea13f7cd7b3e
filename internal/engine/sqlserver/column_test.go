package sqlserver_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver/tdsserver"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestAColumnIsReadRowByRow(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	answer := tdsserver.Answer{Columns: []tdsserver.Column{{Name: "id", Kind: tdsserver.BigInt}, {Name: "v", Kind: tdsserver.NVarChar}}}
	for i := range 5000 {
		answer.Rows = append(answer.Rows, []any{int64(i), fmt.Sprint("ünï ", i)})
	}
	answer.Rows[6][1] = nil
	s.server.Answers("SELECT id, v FROM t", answer)
	src := s.source(sampleName)
	values, err := enginetest.ReadColumn(t, s.engine, src, enginetest.Column{Statement: "SELECT id, v FROM t", Column: "v"})
	require.NoError(t, err)
	require.Len(t, values, 4999, "a null is none")
	require.Equal(t, "ünï 4999", values[4998])
	enginetest.RequireReadsUntil(t, s.engine, src, enginetest.Column{Statement: "SELECT id, v FROM t", Column: "v"})
	enginetest.RequireRefused(t, s.engine, src, map[string][3]string{
		"a column that is not there": {"SELECT id, v FROM t", "w", "no column [w]"},
		"a column that is no text":   {"SELECT id, v FROM t", "id", "no text"},
		"a statement that writes":    {"DELETE FROM t OUTPUT deleted.v", "v", "SELECT"},
		"two statements":             {"SELECT v FROM t; DELETE FROM t", "v", "more than one"},
		"nothing":                    {"", "v", "SELECT"},
	})
	s.server.Inject(&tdsserver.Fault{Match: "missing", Errors: []tdsserver.SQLError{{Number: 208, Message: "Invalid object name 'missing'."}}})
	_, err = enginetest.ReadColumn(t, s.engine, src, enginetest.Column{Statement: "SELECT v FROM missing", Column: "v"})
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.ErrorContains(t, err, "Invalid object name")
}
