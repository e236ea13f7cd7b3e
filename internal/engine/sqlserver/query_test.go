package sqlserver_test

import (
	"encoding/base64"
	"fmt"
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

// What SQL Server sends of each type is written as MS-TDS has it, and read by the driver.
func TestEveryTypeHasOneFormInAnAnswer(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	at, here := time.Date(2024, 2, 29, 23, 59, 58, 123456700, time.UTC), time.FixedZone("", -(3*60+30)*60)
	whole := time.Date(2024, 2, 29, 23, 59, 0, 0, time.UTC)
	for _, test := range []struct {
		name  string // as the answer names the type
		kind  tdsserver.Kind
		value any // as the server has it
		want  any
	}{
		{"TINYINT", tdsserver.TinyInt, int64(255), int64(255)},
		{"SMALLINT", tdsserver.SmallInt, int64(-32768), int64(-32768)},
		{"INT", tdsserver.Int, int64(-2147483648), int64(-2147483648)},
		{"BIGINT", tdsserver.BigInt, int64(-9007199254740992), int64(-9007199254740992)},
		{"BIGINT", tdsserver.BigInt, int64(9007199254740993), "9007199254740993"},
		{"BIGINT", tdsserver.BigInt, int64(-9223372036854775808), "-9223372036854775808"},
		{"BIT", tdsserver.Bit, true, true},
		{"BIT", tdsserver.Bit, false, false},
		{"REAL", tdsserver.Real, 0.1, float32(0.1)},
		{"REAL", tdsserver.Real, -3.4028234663852886e38, float32(-3.4028234663852886e38)},
		{"FLOAT", tdsserver.Float, 0.1, 0.1},
		{"FLOAT", tdsserver.Float, 2.2250738585072014e-308, 2.2250738585072014e-308},
		{"DECIMAL", tdsserver.Decimal, "1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789"},
		{"DECIMAL", tdsserver.Decimal, "-0.0000000001", "-0.0000000001"},
		{"DECIMAL", tdsserver.Decimal, "0", "0.0000000000"},
		{"DECIMAL", tdsserver.Numeric, int64(1234567890123456789), "1234567890123456789"},
		{"MONEY", tdsserver.Money, int64(-9223372036854775808), "-922337203685477.5808"},
		{"MONEY", tdsserver.Money, int64(12345678900), "1234567.8900"},
		{"MONEY", tdsserver.Money, int64(-1), "-0.0001"},
		{"MONEY", tdsserver.Money, int64(0), "0.0000"},
		{"SMALLMONEY", tdsserver.SmallMoney, int64(-2147483648), "-214748.3648"},
		{"SMALLMONEY", tdsserver.SmallMoney, int64(5), "0.0005"},
		{"DATE", tdsserver.Date, at, "2024-02-29"},
		{"DATE", tdsserver.Date, time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), "0001-01-01"},
		{"DATE", tdsserver.Date, time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), "9999-12-31"},
		{"TIME", tdsserver.Time, at, "23:59:58.1234567"},
		{"TIME", tdsserver.Time, whole, "23:59:00"},
		{"DATETIME2", tdsserver.DateTime2, at, "2024-02-29T23:59:58.1234567"},
		{"DATETIME2", tdsserver.DateTime2, time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), "0001-01-01T00:00:00"},
		{"DATETIMEOFFSET", tdsserver.DateTimeOffset, at.In(here), "2024-02-29T20:29:58.1234567-03:30"},
		{"DATETIMEOFFSET", tdsserver.DateTimeOffset, at, "2024-02-29T23:59:58.1234567Z"},
		{"DATETIMEOFFSET", tdsserver.DateTimeOffset, time.Date(2024, 3, 1, 4, 0, 0, 0, time.FixedZone("", 14*60*60)), "2024-03-01T04:00:00+14:00"},
		{"DATETIME", tdsserver.DateTime, time.Date(2024, 2, 29, 23, 59, 59, 997_000_000, time.UTC), "2024-02-29T23:59:59.997"},
		{"DATETIME", tdsserver.DateTime, time.Date(1753, 1, 1, 0, 0, 0, 3_333_333, time.UTC), "1753-01-01T00:00:00.003"},
		{"SMALLDATETIME", tdsserver.SmallDateTime, whole, "2024-02-29T23:59:00"},
		{"SMALLDATETIME", tdsserver.SmallDateTime, time.Date(2079, 6, 6, 23, 59, 0, 0, time.UTC), "2079-06-06T23:59:00"},
		{"UNIQUEIDENTIFIER", tdsserver.GUID, []byte{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF}, "00112233-4455-6677-8899-AABBCCDDEEFF"},
		{"VARBINARY", tdsserver.VarBinary, []byte{0, 1, 255}, "AAH/"},
		{"VARBINARY", tdsserver.VarBinary, []byte{}, ""},
		{"NVARCHAR", tdsserver.NVarChar, "Zoë 😀", "Zoë 😀"},
		{"NVARCHAR", tdsserver.NVarChar, "", ""},
	} {
		t.Run(fmt.Sprint(test.name, " ", test.value), func(t *testing.T) {
			statement := fmt.Sprintf("SELECT '%s'", t.Name())
			// A null in front of it, and its like behind, which a wrong length would shift.
			s.server.Answers(statement, tdsserver.Answer{
				Columns: []tdsserver.Column{{Name: "null", Kind: test.kind}, {Name: "v", Kind: test.kind}, {Name: "end", Kind: tdsserver.Int}},
				Rows:    [][]any{{nil, test.value, int64(42)}, {test.value, nil, int64(43)}},
			})
			result, err := s.engine.Query(enginetest.Context(t), s.source(sampleName), statement)
			require.NoError(t, err)
			require.Equal(t, [][]any{{nil, test.want, int64(42)}, {test.want, nil, int64(43)}}, result.Rows)
			require.Equal(t, domain.SchemaColumn{Name: "v", Type: test.name, Nullable: true}, result.Columns[1])
		})
	}
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
