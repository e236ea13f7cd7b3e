package mysql_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
)

// sampleTables is how many tables the sample has.
const sampleTables = 8

// sample has every kind of column and object that a dump can hold and that a restore has got wrong for somebody.
// SELF is the name of the database.
var sample = []string{
	`SET time_zone = '+00:00'`,
	`CREATE SEQUENCE ticket START WITH 1000 INCREMENT BY 5`,
	`CREATE TABLE customers (
		id bigint unsigned AUTO_INCREMENT PRIMARY KEY, name varchar(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
		tags set('a', 'b', 'it''s'), state enum('new', 'paid', 'ünï') NOT NULL DEFAULT 'new', extra json, photo longblob, born date,
		rebate decimal(5, 2) DEFAULT 0, shout varchar(200) GENERATED ALWAYS AS (upper(name)) STORED, twice int AS (rebate * 2) VIRTUAL,
		KEY by_name (name(20)), FULLTEXT KEY words (name)) COMMENT 'who ''buys'', with \\ and "quotes"'`,
	"CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY, customer bigint unsigned NOT NULL, ticket int DEFAULT (nextval(ticket)), total decimal(12,2), placed timestamp(6) NULL," +
		" CHECK (total >= 0), CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE)",
	`CREATE TABLE every_type (n int PRIMARY KEY, t tinyint, s smallint unsigned zerofill, m mediumint, b bigint, f float, d double, bits bit(9),
		bo boolean, dt datetime(3), ti time(6), y year, c char(10), bi binary(8), vb varbinary(300), tt tinytext, mt mediumtext, lt longtext,
		tb tinyblob, mb mediumblob, g geometry, p point, u uuid, i4 inet4, i6 inet6) CHARACTER SET latin1`,
	`CREATE TABLE parts (at date NOT NULL, v int, PRIMARY KEY (at)) PARTITION BY RANGE (year(at)) (
		PARTITION p2025 VALUES LESS THAN (2026), PARTITION rest VALUES LESS THAN MAXVALUE)`,
	"CREATE TABLE no_rows (a int)",
	"CREATE TABLE log (line text CHARACTER SET utf8mb4)",
	"CREATE TABLE `a 'table' \\ with\nUSE all``\"` (`col \"x\"` text, `ключ\nINSERT INTO b VALUES` int PRIMARY KEY)",
	"CREATE TABLE `--evil` (`; DROP TABLE x` int)",
	`CREATE FUNCTION twice(a int) RETURNS int DETERMINISTIC COMMENT 'don''t' RETURN a * 2`,
	"CREATE PROCEDURE noise(IN a varchar(20) CHARACTER SET utf8mb4) MODIFIES SQL DATA\nBEGIN\n-- don't\n  /* it's */ INSERT INTO log VALUES (concat(a, ';\n-- Dump completed\nUSE x;\n'));\n# it's\nEND",
	"CREATE TRIGGER SELF.audit AFTER INSERT ON SELF.orders FOR EACH ROW BEGIN INSERT INTO log VALUES (concat('order ', NEW.id, ' /* ünï */')); END",
	"CREATE TRIGGER second AFTER INSERT ON orders FOR EACH ROW FOLLOWS audit SET @x = '*/'",
	"SET sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'",
	`CREATE FUNCTION backslash() RETURNS varchar(10) DETERMINISTIC RETURN '\'`,
	"SET sql_mode = ''",
	"CREATE VIEW paid AS SELECT o.id, o.total, c.name FROM orders o JOIN customers c ON c.id = o.customer WHERE twice(o.id) > 0 AND c.name <> 'x;\n'",
	"CREATE VIEW all_paid AS SELECT count(*) AS n FROM paid",
	"CREATE EVENT cleaning ON SCHEDULE EVERY 1 SECOND STARTS '2020-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE DO DELETE FROM log",
	"CREATE EVENT yearly ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01 00:00:00' DO BEGIN DELETE FROM log; END",
	`INSERT INTO customers (name, tags, state, extra, photo, born, rebate)
		SELECT concat('customer ', seq, ' \\ \t\n\r\0\Z '' " ;\nUSE x;\n', repeat('ü', seq % 50)), 'a,it''s', 1 + seq % 3, json_object('i', seq, 'é', null), unhex(md5(seq)),
			date '1970-01-01' + interval seq day, seq % 100 FROM seq_1_to_3000`,
	`INSERT INTO customers (name) VALUES (''), ('-- Dump completed\n')`,
	`INSERT INTO orders (customer, total, placed) SELECT 1 + seq % 3000, seq * 1.01, timestamp '2025-01-01 00:00:00' + interval seq hour FROM seq_1_to_5000`,
	`INSERT INTO every_type VALUES (1, -128, 65535, -8388608, -9223372036854775808, 1.5, 2.25e300, b'101010101', true, '2025-02-03 04:05:06.789', '-838:59:59', 2155,
		'c', x'00ff', x'5c27220a00', 'tiny', 'medium', repeat('x', 70000), x'', x'00', ST_GeomFromText('LINESTRING(0 0, 1 1)', 4326), point(1, 2), uuid(), '1.2.3.4', '::1'),
		(2, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null)`,
	`INSERT INTO parts SELECT date '2025-06-01' + interval seq day, seq FROM seq_1_to_500`,
	"INSERT INTO `a 'table' \\ with\nUSE all``\"` VALUES ('\\\\N', 1), ('', 2), (NULL, 3)",
	"INSERT INTO `--evil` VALUES (42)",
	"DO nextval(ticket)",
}

// newSample makes a database with the sample in it.
func newSample(t *testing.T, name string) engine.Source {
	t.Helper()
	return newSampleOf(t, name, func(string) bool { return true })
}

// newSampleOf is newSample with some of the statements.
func newSampleOf(t *testing.T, name string, keep func(string) bool) engine.Source {
	t.Helper()
	statements := []string{}
	for _, statement := range sample {
		if !keep(statement) {
			continue
		}
		statements = append(statements, strings.ReplaceAll(statement, "SELF", quoted(name)))
	}
	return create(t, name, "CHARACTER SET utf8mb4 COLLATE utf8mb4_spanish_ci", statements...)
}

// content reads the definition of every object and every row.
func content(t *testing.T, src engine.Source) any {
	t.Helper()
	database := src.Config.Database
	found := map[string][]string{
		"database": queryRows(t, "", "select default_character_set_name, default_collation_name from information_schema.schemata where schema_name = ?", database),
		"keys": queryRows(t, "", `select constraint_name, table_name, column_name, ordinal_position, referenced_table_schema = table_schema, referenced_table_name, referenced_column_name
			from information_schema.key_column_usage where table_schema = ? order by 2, 1, 4, 3`, database),
	}
	neutral := func(rows []string) []string {
		for i := range rows {
			rows[i] = strings.ReplaceAll(rows[i], quoted(database), "SELF")
		}
		return rows
	}
	for _, table := range unquote(t, queryRows(t, "", "select table_name from information_schema.tables where table_schema = ? and table_type <> 'SEQUENCE'", database)) {
		found["definition of "+table] = neutral(queryRows(t, database, "show create table "+quoted(table)))
		rows := queryRows(t, database, "select * from "+quoted(table))
		slices.Sort(rows)
		found["rows of "+table] = rows
	}
	for _, sequence := range unquote(t, queryRows(t, "", "select table_name from information_schema.tables where table_schema = ? and table_type = 'SEQUENCE'", database)) {
		found["sequence "+sequence] = append(queryRows(t, database, "show create table "+quoted(sequence)), queryRows(t, database, "select * from "+quoted(sequence))...)
	}
	for _, kind := range []string{"function", "procedure"} {
		for _, name := range unquote(t, queryRows(t, "", "select routine_name from information_schema.routines where routine_schema = ? and routine_type = ?", database, kind)) {
			found[kind+" "+name] = queryRows(t, database, "show create "+kind+" "+quoted(name))
		}
	}
	found["triggers"] = queryRows(t, "", `select trigger_name, event_manipulation, event_object_table, action_order, action_statement, action_timing, sql_mode, definer,
		character_set_client, collation_connection, database_collation from information_schema.triggers where trigger_schema = ? order by 1`, database)
	for _, name := range unquote(t, queryRows(t, "", "select event_name from information_schema.events where event_schema = ?", database)) {
		event := queryRows(t, database, "show create event "+quoted(name))
		if strings.HasPrefix(database, "dataguardian_verify_") && name == "yearly" { // events do not run in a verification
			require.Contains(t, event[0], "PRESERVE DISABLE")
			event[0] = strings.Replace(event[0], "PRESERVE DISABLE", "PRESERVE ENABLE", 1)
		}
		found["event "+name] = event
	}
	require.NotEmpty(t, found["keys"])
	return found
}

// unquote gives back what queryRows quoted.
func unquote(t *testing.T, rows []string) []string {
	t.Helper()
	for i, row := range rows {
		value, err := strconv.Unquote(row)
		require.NoError(t, err)
		rows[i] = value
	}
	return rows
}
