package sqlserver_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver/tdsserver"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestRowsAreCountedKeysCheckedAndPagesLookedAt(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	ctx, src := enginetest.Context(t), s.source(sampleName)
	s.server.Create(sampleName, map[string][]string{"customers": {"1", "2"}, "orders": {"1", "1", "2"}, "it's]": {}})
	s.server.Change(sampleName, func(d *tdsserver.Database) {
		d.Keys = []tdsserver.Key{{Name: "fk_o'customer]", Table: "orders", To: "customers"}, {Name: "fk_none", Table: "it's]", To: "orders"}}
	})
	_, known, err := s.engine.RecordedRows(nil)
	require.NoError(t, err)
	require.False(t, known)
	rows, err := s.engine.CountRows(ctx, src)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"[dbo].[customers]": 2, "[dbo].[orders]": 3, "[dbo].[it's]]]": 0}, rows)
	broken, looked, err := s.engine.BrokenKeys(ctx, src)
	require.NoError(t, err)
	require.Empty(t, broken)
	require.Equal(t, 2, looked)
	require.NoError(t, s.engine.CheckConsistency(ctx, src))

	s.server.Change(sampleName, func(d *tdsserver.Database) {
		d.Tables["orders"] = append(d.Tables["orders"], "of nobody")
		d.Damaged = true
	})
	broken, _, err = s.engine.BrokenKeys(ctx, src)
	require.NoError(t, err)
	require.Equal(t, []string{"fk_o'customer] of table orders"}, broken)
	err = s.engine.CheckConsistency(ctx, src)
	enginetest.RequireClass(t, failure.Corrupt, err)
	require.ErrorContains(t, err, "1 consistency errors")
	require.Contains(t, failure.HintOf(err), "on the source")
	require.NotContains(t, err.Error(), "secret-of-alice", "values of rows are nobody's business")
	require.Equal(t, 2, strings.Count(err.Error(), "error 8955"), "there may be hundreds")
}

func TestACheckThatCouldNotBeMadeIsNoDamage(t *testing.T) {
	for name, c := range map[string]struct {
		numbers []int32
		class   failure.Class
	}{
		"the login has no right":              {[]int32{7983}, failure.ConfigInvalid},
		"tempdb is full":                      {[]int32{1105, 8921}, failure.StorageFull},
		"nobody could lock it":                {[]int32{7928, 7926}, failure.Unknown},
		"it was checked without a snapshot":   {[]int32{7928}, ""},
		"without one, and damage was found":   {[]int32{7928, 8928, 8990}, failure.Corrupt},
		"an index has not what its table has": {[]int32{8951, 8955}, failure.Corrupt},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, tdsserver.Options{})
			fault := tdsserver.Fault{Match: "DBCC CHECKDB"}
			for _, number := range c.numbers {
				fault.Errors = append(fault.Errors, tdsserver.SQLError{Number: number, Message: "What the server says."})
			}
			s.server.Inject(&fault)
			err := s.engine.CheckConsistency(enginetest.Context(t), s.source(sampleName))
			if c.class == "" {
				require.NoError(t, err)
				return
			}
			enginetest.RequireClass(t, c.class, err)
		})
	}
}
