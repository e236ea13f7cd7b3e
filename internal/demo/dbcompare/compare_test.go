package dbcompare_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/demo/dbcompare"
)

// shop is what every database of these tests starts as.
const shop = `
CREATE TABLE customers (id int PRIMARY KEY, name text, x bytea);
INSERT INTO customers SELECT n, 'name ' || n, sha256(int4send(n)) FROM generate_series(1, 500) AS n;
INSERT INTO customers VALUES (501, '', NULL), (502, NULL, '');
CREATE TABLE "Odd ""name"" é" (x int, "select" text[]);
INSERT INTO "Odd ""name"" é" VALUES (1, '{a,NULL}'), (1, '{a,NULL}'), (2, '{}');
CREATE TABLE parts (id int, k text) PARTITION BY LIST (k);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
CREATE TABLE parts_b PARTITION OF parts FOR VALUES IN ('b');
INSERT INTO parts SELECT n, CASE WHEN n % 2 = 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 100) AS n;
CREATE TABLE nothing_in_it (id int);
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE SEQUENCE numbers;
SELECT nextval('numbers'), nextval('numbers');
CREATE VIEW names AS SELECT name FROM customers;
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE RETURN n * 2;
CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER watch BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION quiet();
CREATE INDEX by_name ON customers (name);
SELECT lo_from_bytea(77, 'large');`

var probes = []string{"SELECT public.twice(21)", "SELECT count(*) FROM public.names"}

func TestCompareFindsEveryDifference(t *testing.T) {
	server := startServer(t)
	for _, test := range []struct {
		name   string
		change string // run in the second database only
		want   string // part of the one line that tells; empty: they are equal
	}{
		{"equal databases are equal", ``, ""},
		{"the order of the rows does not matter", `CREATE TABLE c AS TABLE customers; DELETE FROM customers;
			INSERT INTO customers SELECT * FROM c ORDER BY id DESC; DROP TABLE c`, ""},
		{"the session's settings do not matter", `ALTER DATABASE %[1]s SET bytea_output = 'escape'; ALTER DATABASE %[1]s SET search_path = pg_catalog`, ""},
		{"one changed row is found", `UPDATE customers SET name = 'nome 7' WHERE id = 7`, "table public.customers: 502 rows"},
		{"one changed byte is found", `UPDATE customers SET x = set_byte(x, 31, get_byte(x, 31) # 1) WHERE id = 9`, "table public.customers"},
		{"one missing row is found", `DELETE FROM customers WHERE id = 500`, "against 501 rows"},
		{"one row too many is found", `INSERT INTO customers VALUES (-1)`, "against 503 rows"},
		{"NULL instead of the empty string is found", `UPDATE customers SET name = NULL WHERE id = 501`, "table public.customers"},
		{"two values that changed places are found", `UPDATE customers SET name = CASE id WHEN 1 THEN 'name 2' ELSE 'name 1' END WHERE id IN (1, 2)`, "table public.customers"},
		{"a repeated row that became another repeated row is found", `UPDATE "Odd ""name"" é" SET x = 3 WHERE x = 1`, `table public."Odd ""name"" é": 3 rows`},
		{"a NULL inside an array is found", `UPDATE "Odd ""name"" é" SET "select" = '{a,"NULL"}' WHERE x = 1`, "Odd"},
		{"a changed row in a partition is found", `UPDATE parts SET id = 1000 WHERE id = 2`, "table public.parts_a"},
		{"a missing table is found", `DROP TABLE nothing_in_it`, "table public.nothing_in_it: 0 rows (00000000000000000000000000000000) against missing"},
		{"an additional table is found", `CREATE TABLE more ()`, "table public.more: missing against 0 rows"},
		{"a sequence that went on is found", `SELECT nextval('numbers')`, `sequence position public.numbers: "2 (used)" against "3 (used)"`},
		{"a sequence that was only set is found", `SELECT setval('numbers', 2, false)`, `"2 (used)" against "2 (unused)"`},
		{"a changed view is found", `CREATE OR REPLACE VIEW names AS SELECT name FROM customers WHERE true`, "view public.names"},
		{"a changed function is found by text and by answer", `CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE RETURN n + n + 1`, `query SELECT public.twice(21): "(42)" against "(43)"`},
		{"a missing function is a difference, not an error", `DROP FUNCTION twice`, "against \"error: "},
		{"a missing trigger is found", `DROP TRIGGER watch ON customers`, "trigger public.customers watch"},
		{"a missing index is found", `DROP INDEX by_name`, "index public.by_name"},
		{"a missing primary key is found", `ALTER TABLE customers DROP CONSTRAINT customers_pkey`, "constraint public.customers customers_pkey"},
		{"a changed default is found", `ALTER TABLE customers ALTER name SET DEFAULT 'x'`, "column public.customers.name"},
		{"an additional label of an enum is found", `ALTER TYPE mood ADD VALUE 'fine'`, "type public.mood"},
		{"a changed large object is found", `SELECT lo_put(77, 0, 'L')`, "table (large objects): 1 rows"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, _ := server.database(t, shop)
			b, name := server.database(t, shop)
			change := test.change
			if strings.Contains(change, "%[1]s") {
				change = fmt.Sprintf(change, name)
			}
			server.run(t, b, change)
			b = server.connect(t, name) // a new session has the settings of the database

			got, err := dbcompare.Compare(t.Context(), a, b, probes...)
			require.NoError(t, err)
			differences := strings.Join(got.Differences(), "\n")
			if test.want == "" {
				require.Empty(t, differences)
				require.True(t, got.Equal())
				return
			}
			require.False(t, got.Equal())
			require.Contains(t, differences, test.want)
		})
	}
}

func TestCompareCountsTheRowsOfEveryTable(t *testing.T) {
	server := startServer(t)
	a, _ := server.database(t, shop)
	b, _ := server.database(t, shop)

	got, err := dbcompare.Compare(t.Context(), a, b)
	require.NoError(t, err)
	rows := map[string]int64{}
	for _, table := range got.Tables {
		rows[table.Name] = table.A.Rows
		require.Len(t, table.A.Hash, 32)
	}
	require.Equal(t, map[string]int64{
		"public.customers": 502, `public."Odd ""name"" é"`: 3, "public.parts_a": 50, "public.parts_b": 50,
		"public.nothing_in_it": 0, dbcompare.LargeObjects: 1,
	}, rows)
}

func TestTwoEmptyDatabasesDoNotPassForEqual(t *testing.T) {
	server := startServer(t)
	a, _ := server.database(t, "")
	b, _ := server.database(t, "")

	got, err := dbcompare.Compare(t.Context(), a, b)
	require.NoError(t, err)
	require.Empty(t, got.Differences())
	require.False(t, got.Equal())
}

func TestARoleThatMayNotReadATableGetsAnErrorNotADifference(t *testing.T) {
	server := startServer(t)
	a, _ := server.database(t, shop)
	server.run(t, a, `CREATE ROLE blind; SET ROLE blind`)
	b, _ := server.database(t, shop)

	_, err := dbcompare.Compare(t.Context(), a, b)
	require.ErrorContains(t, err, "permission denied")
}

func TestAProbeThatWorksOnNeitherSideIsAnError(t *testing.T) {
	server := startServer(t)
	a, _ := server.database(t, shop)
	b, _ := server.database(t, shop)

	_, err := dbcompare.Compare(t.Context(), a, b, "SELECT twice(21)") // no schema
	require.ErrorContains(t, err, "works on neither side")
}

func TestDatabasesOfDifferentEncodingsWithTheSameTextAreEqual(t *testing.T) {
	server := startServer(t)
	const rows = `CREATE TABLE words (w text); INSERT INTO words VALUES ('Größe'), ('naïve')`
	a, _ := server.database(t, rows)
	b, _ := server.databaseWith(t, "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'", rows)

	got, err := dbcompare.Compare(t.Context(), a, b)
	require.NoError(t, err)
	require.Empty(t, got.Differences())
}

// server makes databases on one Postgres server.
type server struct{ config *pgx.ConnConfig }

func (s server) connect(t *testing.T, database string) *pgx.Conn {
	t.Helper()
	config := s.config.Copy()
	config.Database = database
	config.RuntimeParams["client_encoding"] = "UTF8"
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (s server) database(t *testing.T, script string) (*pgx.Conn, string) {
	t.Helper()
	return s.databaseWith(t, "", script)
}

var databases int

func (s server) databaseWith(t *testing.T, options, script string) (*pgx.Conn, string) {
	t.Helper()
	databases++
	name := fmt.Sprintf("compare_%d", databases)
	admin := s.connect(t, "postgres")
	s.run(t, admin, "CREATE DATABASE "+name+" TEMPLATE template0 "+options)
	conn := s.connect(t, name)
	s.run(t, conn, script)
	return conn, name
}

func (s server) run(t *testing.T, conn *pgx.Conn, script string) {
	t.Helper()
	_, err := conn.PgConn().Exec(t.Context(), script).ReadAll()
	require.NoError(t, err)
}
