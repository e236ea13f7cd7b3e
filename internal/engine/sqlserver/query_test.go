package sqlserver_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver/tdsserver"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestAQueryAnswersInWhatJSONHas(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	id := []byte{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF}
	s.server.Answers("SELECT * FROM t", tdsserver.Answer{
		Columns: []tdsserver.Column{
			{Name: "n", Kind: tdsserver.BigInt}, {Name: "big", Kind: tdsserver.BigInt}, {Name: "text", Kind: tdsserver.NVarChar}, {Name: "bit", Kind: tdsserver.Bit},
			{Name: "id", Kind: tdsserver.GUID}, {Name: "bin", Kind: tdsserver.VarBinary}, {Name: "f", Kind: tdsserver.Float}, {Name: "d", Kind: tdsserver.Numeric},
			{Name: "at", Kind: tdsserver.DateTime2}, {Name: "null", Kind: tdsserver.NVarChar},
		},
		Rows: [][]any{{
			int64(7), int64(1) << 60, "Zoë", true, id, []byte{1, 2}, 1.5, int64(1234567890123456789),
			time.Date(2024, 2, 29, 12, 30, 15, 123456700, time.UTC), nil,
		}},
	})
	result, err := s.engine.Query(enginetest.Context(t), s.source(sampleName), "SELECT * FROM t")
	require.NoError(t, err)
	require.Equal(t, [][]any{{
		int64(7), "1152921504606846976", "Zoë", true, "00112233-4455-6677-8899-AABBCCDDEEFF", base64.StdEncoding.EncodeToString([]byte{1, 2}), 1.5,
		"1234567890123456789", "2024-02-29T12:30:15.1234567", nil,
	}}, result.Rows)
	require.Equal(t, "bit", result.Columns[3].Name)
	require.False(t, result.Truncated)
}

func TestAQueryReturnsNoMoreRowsThanItMay(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	answer := tdsserver.Answer{Columns: []tdsserver.Column{{Name: "n", Kind: tdsserver.BigInt}}}
	for i := range domain.MaxQueryRows {
		answer.Rows = append(answer.Rows, []any{int64(i)})
	}
	s.server.Answers("SELECT n FROM exactly", answer)
	answer.Rows = append(answer.Rows, []any{int64(-1)})
	s.server.Answers("SELECT n FROM more", answer)
	for statement, truncated := range map[string]bool{"SELECT n FROM exactly": false, "SELECT n FROM more": true} {
		result, err := s.engine.Query(enginetest.Context(t), s.source(sampleName), statement)
		require.NoError(t, err)
		require.Len(t, result.Rows, domain.MaxQueryRows)
		require.Equal(t, truncated, result.Truncated, statement)
	}
}

func TestStatementsThatMayWriteDoNotReachTheServer(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	for _, statement := range []string{
		"", "DELETE FROM t", "UPDATE t SET a = 1", "EXEC sp_who", "sp_who", "SELECT 1; DROP TABLE t", "SELECT 1 DROP TABLE t", "SELECT 1DROP TABLE t",
		"SELECT 0x1DROP TABLE t", "SELECT 1.5DROP TABLE t", "SELECT * INTO copy FROM t", "WITH x AS (SELECT 1 a) DELETE FROM x", "SELECT 'a''b' DROP TABLE t",
		"SELECT [a]]b] DROP TABLE t", "SELECT /* /* */ */ 1 DROP TABLE t", "SELECT 1 --\nDROP TABLE t", "SELECT \"a\" DROP TABLE t", "SELECT 1 /* no end", "SELECT 'no end",
		"SELECT NEXT VALUE FOR s", "SELECT NEXT /**/ VALUE\nFOR s", "SELECT * FROM OPENROWSET(BULK 'x', SINGLE_BLOB) x", "SELECT * FROM OPENQUERY(x, 'DELETE')", "SELECT 1\x00", "SELECT 1 éDROP TABLE t",
		"BEGIN TRAN", "COMMIT", "SELECT 1 COMMIT", "SELECT 1;;SELECT 2", "/* SELECT */ KILL 5",
	} {
		before := len(s.server.Statements())
		_, err := s.engine.Query(enginetest.Context(t), s.source(sampleName), statement)
		enginetest.RequireClass(t, failure.ConfigInvalid, err)
		require.Len(t, s.server.Statements(), before, statement)
	}
}

func TestStatementsThatReadReachTheServer(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	for _, statement := range []string{
		"SELECT 1", "select a.b, [update], 'DROP TABLE t', \"delete\" from dbo.t -- DROP", "(SELECT 1) UNION (SELECT 2)", "WITH x AS (SELECT 1 a) SELECT * FROM x;",
		"SELECT 1e5, 1.5E-3, 0xFF, created, updated_at FROM t ORDER BY 1 OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY", "SELECT CASE WHEN a = 1 THEN 2 END /* DROP */ FROM t",
	} {
		s.server.Answers(statement, tdsserver.Answer{Columns: []tdsserver.Column{{Name: "n", Kind: tdsserver.BigInt}}, Rows: [][]any{{int64(1)}}})
		_, err := s.engine.Query(enginetest.Context(t), s.source(sampleName), statement)
		require.NoError(t, err, statement)
	}
}

func TestAnUnknownTableIsTold(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	s.server.Inject(&tdsserver.Fault{Match: "missing", Errors: []tdsserver.SQLError{{Number: 208, Message: "Invalid object name 'missing'."}}})
	_, err := s.engine.Query(enginetest.Context(t), s.source(sampleName), "SELECT * FROM missing")
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.Contains(t, failure.Message(err), "Invalid object name")
	enginetest.RequireClass(t, failure.ConfigInvalid, s.engine.Execute(enginetest.Context(t), s.source(sampleName), "DELETE FROM missing"))
}

func TestDatabasesAreThoseOfPeople(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	s.server.Create("another", nil)
	s.server.Create("offline", nil)
	s.server.SetAccess("offline", "OFFLINE", "MULTI_USER")
	for _, database := range []string{"", sampleName} {
		names, err := s.engine.Databases(enginetest.Context(t), s.source(database))
		require.NoError(t, err)
		require.Equal(t, []string{sampleName, "another"}, names)
	}
}

func TestTheSchemaListsTablesWithTheirColumns(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	schema, err := s.engine.Schema(enginetest.Context(t), s.source(sampleName))
	require.NoError(t, err)
	require.Equal(t, []string{sampleName}, schema.Databases)
	require.Equal(t, domain.SchemaObject{
		Database: sampleName, Schema: "dbo", Name: "customers", Kind: "table", Rows: 3, Bytes: 8192,
		Columns: []domain.SchemaColumn{{Name: "row", Type: "nvarchar(max)", Nullable: true}},
	}, schema.Objects[0])
	require.Len(t, schema.Objects, 3)
	require.False(t, schema.Truncated)

	s.server.Change(sampleName, func(d *tdsserver.Database) {
		for i := range domain.MaxSchemaObjects {
			d.Tables["t"+time.Unix(int64(i), 0).UTC().Format("150405")] = nil
		}
	})
	schema, err = s.engine.Schema(enginetest.Context(t), s.source(sampleName))
	require.NoError(t, err)
	require.Len(t, schema.Objects, domain.MaxSchemaObjects)
	require.True(t, schema.Truncated)
}
