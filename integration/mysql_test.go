package integration

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine/mysql/mariadbserver"
	"github.com/dataguardian/dataguardian/worker"
)

// mariadb is the MariaDB server of this test binary, which the first test that needs it starts.
var mariadb = sync.OnceValues(func() (*mariadbserver.Server, error) {
	dir := filepath.Join(shared.dir, "mariadb")
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // another user runs the server
		return nil, err
	}
	server, err := mariadbserver.Start(context.Background(), dir, "--innodb-flush-log-at-trx-commit=0")
	if err == nil {
		shared.onClose(func() { _ = server.Stop() })
	}
	return server, err
})

// mysqlEverything has a column of every type that MariaDB 10.11 has, and every kind of object.
var mysqlEverything = []string{
	`CREATE SEQUENCE numbers START WITH 1000 INCREMENT BY -5 MINVALUE -9000 MAXVALUE 2000 CYCLE`,
	`CREATE TABLE every_type (n int PRIMARY KEY, t tinyint, tu tinyint unsigned, s smallint unsigned zerofill, m mediumint, mu mediumint unsigned, i int(7) zerofill, iu int unsigned, bs bigint, b bigint unsigned,
		f float, fu float unsigned, f2 float(7,3), d double, d2 double(20,5) unsigned, e decimal(20,5), e0 decimal(65,30), eu decimal(5,0) unsigned zerofill, bits bit(9), bit1 bit, b64 bit(64),
		bo boolean, da date, dt0 datetime, dt datetime(3), dt6 datetime(6), ts0 timestamp NULL, ts timestamp(6) NULL, ti0 time, ti time(6), y year,
		c char(10), cb char(10) CHARACTER SET latin1 COLLATE latin1_bin, nc nchar(5), v varchar(300), nv nvarchar(30), vu varchar(30) CHARACTER SET ucs2, bi binary(8), vb varbinary(300),
		tt tinytext, te text, mt mediumtext, lt longtext, ltc longtext CHARACTER SET utf16, tb tinyblob, bl blob, mb mediumblob, lb longblob, en enum('a', 'it''s', 'ünï'), se set('x', 'y', 'it''s'), j json,
		u uuid, i4 inet4, i6 inet6, g geometry, p point, ls linestring, po polygon, mp multipoint, ml multilinestring, mpo multipolygon, gc geometrycollection,
		gs varchar(300) GENERATED ALWAYS AS (upper(v)) STORED, gv bigint GENERATED ALWAYS AS (t * 2) VIRTUAL, sq bigint DEFAULT nextval(numbers), inv int INVISIBLE DEFAULT 7,
		up timestamp(3) DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3), co varchar(2000) COMPRESSED, CONSTRAINT small CHECK (t < 100), KEY by_part (lt(20)), FULLTEXT KEY words (v))`,
	`INSERT INTO every_type (n, t, tu, s, m, mu, i, iu, bs, b, f, fu, f2, d, d2, e, e0, eu, bits, bit1, b64, bo, da, dt0, dt, dt6, ts0, ts, ti0, ti, y, c, cb, nc, v, nv, vu, bi, vb, tt, te, mt, lt, ltc, tb, bl, mb, lb,
			en, se, j, u, i4, i6, g, p, ls, po, mp, ml, mpo, gc, co)
		VALUES (1, -128, 255, 65535, -8388608, 16777215, 42, 4294967295, -9223372036854775808, 18446744073709551615, 1.5, 3.25, 1234.567, 2.25e300, 123456.78901, 123.45678, 12345678901234567890123456789012345.123456789012345678901234567891, 7, b'101010101', b'1', x'ffffffffffffffff',
		true, '1000-01-01', '9999-12-31 23:59:59', '2025-02-03 04:05:06.789', '2025-02-03 04:05:06.000001', '2038-01-19 03:14:07', '2025-02-03 04:05:06.123456', '838:59:59', '-838:59:59', 2155,
		'c', 'ÿ', 'ñ', 'ünï 😀 \\ \n '' "', 'nü', 'uçs', x'00ff', x'5c27220a001a', 'tiny', 'text', 'medium', repeat('x', 70000), 'ütf16 😀', x'', x'00', x'ff', x'00010203',
		'it''s', 'x,y', '{"a": [1, null, "é"]}', '6ccd780c-baba-1026-9564-5b8c656024db', '1.2.3.4', '2001:db8::1', point(1, 2), point(3, 4), ST_GeomFromText('LINESTRING(0 0, 1 1)', 4326),
		ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))'), ST_GeomFromText('MULTIPOINT(0 0, 1 1)'), ST_GeomFromText('MULTILINESTRING((0 0, 1 1), (2 2, 3 3))'),
		ST_GeomFromText('MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))'), ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1), LINESTRING(0 0, 1 1))'), repeat('compressed ', 100))`,
	`INSERT INTO every_type (n, t, s, f, d, e, bits, da, y, c, v, lt, lb, se, ti) VALUES (3, 0, 0, 0, -0.0, 0, 0, NULL, 0, '', '', '', '', '', 0)`,
	`INSERT INTO every_type (n) VALUES (2)`,
	`CREATE TABLE customers (id int AUTO_INCREMENT PRIMARY KEY, name varchar(100) NOT NULL)`,
	`CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY, customer int NOT NULL, note varchar(200), FOREIGN KEY (customer) REFERENCES customers (id))`,
	`INSERT INTO customers (name) SELECT concat('customer ', seq) FROM seq_1_to_500`,
	`INSERT INTO orders (customer, note) SELECT 1 + seq % 500, sha2(seq, 512) FROM seq_1_to_40000`,
	`CREATE TABLE kept_history (id int PRIMARY KEY, v varchar(20)) WITH SYSTEM VERSIONING`,
	`INSERT INTO kept_history VALUES (1, 'first'), (2, 'second')`,
	`UPDATE kept_history SET v = 'third' WHERE id = 2`,
	`CREATE TABLE parted (id int, at date, v int, PRIMARY KEY (id, at)) PARTITION BY RANGE (year(at)) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 (
		PARTITION p2024 VALUES LESS THAN (2025), PARTITION rest VALUES LESS THAN MAXVALUE)`,
	`INSERT INTO parted SELECT seq, date '2024-06-01' + interval seq day, seq FROM seq_1_to_500`,
	`CREATE TABLE listed (v int) PARTITION BY LIST (v) (PARTITION a VALUES IN (1, 2), PARTITION b DEFAULT)`,
	`INSERT INTO listed VALUES (1), (2), (3)`,
	`CREATE TABLE old_engine (v int PRIMARY KEY, w varchar(9)) ENGINE=MyISAM`,
	`INSERT INTO old_engine VALUES (1, 'x')`,
	`CREATE VIEW by_customer AS SELECT c.name, count(*) AS orders FROM customers c JOIN orders o ON o.customer = c.id GROUP BY c.name`,
	`CREATE SQL SECURITY INVOKER VIEW few AS SELECT * FROM customers WHERE id < 10 WITH CASCADED CHECK OPTION`,
	`CREATE FUNCTION twice(a int) RETURNS int DETERMINISTIC RETURN a * 2`,
	`CREATE PROCEDURE add_order(IN who int, OUT id int) BEGIN INSERT INTO orders (customer, note) VALUES (who, 'it''s; new'); SET id = last_insert_id(); END`,
	`CREATE TRIGGER shout BEFORE INSERT ON customers FOR EACH ROW SET NEW.name = upper(NEW.name)`,
	`CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' ON COMPLETION PRESERVE COMMENT 'it''s' DO DELETE FROM listed WHERE v = 3`,
	`CREATE EVENT asleep ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DISABLE DO DELETE FROM listed`,
	`DO nextval(numbers)`,
}

// mysqlChanges are made between a full backup and an increment.
var mysqlChanges = []string{
	"UPDATE every_type SET t = 5, lt = 'changed 😀', dt6 = '2001-01-01 00:00:00.5', u = uuid() WHERE n = 2",
	"INSERT INTO orders (customer, note) VALUES (1, 'new')", "DELETE FROM orders WHERE id = 39000", "ALTER TABLE customers ADD COLUMN flag boolean DEFAULT true",
	"UPDATE kept_history SET v = 'fourth'", "ALTER TABLE listed DROP PARTITION a", "DO nextval(numbers)", "DROP PROCEDURE add_order", "ALTER EVENT asleep ENABLE",
	"CREATE PROCEDURE later() SELECT 1", "DROP TRIGGER shout", "DELETE FROM every_type WHERE n = 3",
}

func TestMySQLAndMariaDBBackUpAndRestoreThroughTheProduct(t *testing.T) {
	t.Parallel()
	tools, dumps := dumpsRecorded(t)
	const pool = "recorded-dumps"
	stop, err := shared.startWorker(worker.Options{Pools: []string{pool}, ClientToolsPath: []string{tools, "/usr/bin"}})
	require.NoError(t, err)
	t.Cleanup(stop)
	for name, test := range map[string]struct {
		kind       domain.DatasourceType
		statements []string
		change     string // beside mysqlChanges
		charset    string // in which the tool reads texts
	}{
		"mariadb": {domain.MariaDB, mysqlEverything, "UPDATE every_type SET g = ST_GeomFromText('LINESTRING(5 5, 6 6)') WHERE n = 2", "utf8mb4"},
		"mysql":   {domain.MySQL, mysqlEverything, "UPDATE every_type SET lb = x'00ff' WHERE n = 2", "utf8mb4"},
		"utf8":    {domain.MariaDB, mysqlUTF8, "UPDATE every_type SET te = 'new 😀', en = 'ünï 漢' WHERE n = 2", "binary"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := mariadb()
			require.NoError(t, err)
			name := "shop_" + name
			mysqlExec(t, server, "", "CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
			mysqlExec(t, server, name, test.statements...)
			source := mysqlDatasource(t, server, test.kind, pool, name)
			// A backup of one type is restored into the other: they are one family.
			other := mysqlDatasource(t, server, map[domain.DatasourceType]domain.DatasourceType{domain.MariaDB: domain.MySQL, domain.MySQL: domain.MariaDB}[test.kind], pool, name+"_other")
			storage, err := shared.owner.StorageLocations.Create(t.Context(), client.StorageLocationDocument{
				Name: name + " disk", Type: domain.StorageLocal, Pool: pool, Config: domain.StorageConfig{Path: filepath.Join(t.TempDir(), "backups")},
			})
			require.NoError(t, err)
			job, err := shared.owner.BackupJobs.Create(t.Context(), client.BackupJobDocument{
				RetentionPolicy: keepEverything, Name: name, DatasourceID: source.ID, StorageLocationID: storage.ID,
				BackupOptions: domain.BackupOptions{BackupType: domain.Incremental, Verify: domain.VerifyFull},
			})
			require.NoError(t, err)
			backUp := func() client.Execution {
				queued, err := shared.owner.RunJob(t.Context(), job.ID, nil)
				require.NoError(t, err)
				done := wait(t, queued)
				require.Equal(t, domain.Completed, done.Status, done.ErrorMessage)
				return done
			}
			full, asOfFull := backUp(), mysqlContent(t, server, name)
			mysqlExec(t, server, name, append(slices.Clone(mysqlChanges), test.change)...)
			increment, asOfIncrement := backUp(), mysqlContent(t, server, name)
			require.Equal(t, domain.Incremental, increment.BackupType, increment.Metadata.FullReason)
			require.Positive(t, increment.Metadata.ReusedChunks)
			requireDumpedIn(t, dumps, name, test.charset, 2)

			for target, backup := range map[string]client.Execution{name + "_f": full, name + "_i": increment} {
				for _, into := range []client.Datasource{source, other} {
					queued, err := shared.owner.Restore(t.Context(), backup.ID, client.RestoreRequest{
						TargetDatasourceID: into.ID, TargetDatabase: target, DropExisting: true, ConfirmationPhrase: client.ConfirmRestore(into.Name),
					})
					require.NoError(t, err)
					restored := wait(t, queued)
					require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
					want := asOfFull
					if backup.ID == increment.ID {
						want = asOfIncrement
					}
					require.Equal(t, want, mysqlContent(t, server, target))
				}
			}
			require.Empty(t, mysqlQuery(t, server, "", "select schema_name from information_schema.schemata where schema_name like '"+name+"%\\_dg\\_%' or schema_name like '"+name+"%\\_old\\_%'"))
			check, err := shared.owner.TestDatasource(t.Context(), source.ID)
			require.NoError(t, err)
			require.Equal(t, domain.HealthOK, check.Status, check.Message)
		})
	}
}

func mysqlDatasource(t *testing.T, server *mariadbserver.Server, kind domain.DatasourceType, pool, database string) client.Datasource {
	t.Helper()
	made, err := shared.owner.Datasources.Create(t.Context(), client.DatasourceDocument{
		Name: fmt.Sprintf("%s as %s", database, kind), Type: kind, Pool: pool,
		ConnectionConfig: domain.ConnectionConfig{Host: "127.0.0.1", Port: server.Port, Database: database, Username: mariadbserver.User, Password: server.Password},
	})
	require.NoError(t, err)
	return made
}

func mysqlExec(t *testing.T, server *mariadbserver.Server, database string, statements ...string) {
	t.Helper()
	db := server.Open(database)
	defer db.Close()
	for _, statement := range statements {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}

// mysqlContent is every definition and every row of a database.
func mysqlContent(t *testing.T, server *mariadbserver.Server, database string) map[string][]string {
	t.Helper()
	content := map[string][]string{
		"database": mysqlQuery(t, server, database, "select default_character_set_name, default_collation_name from information_schema.schemata where schema_name = database()"),
		"routines": mysqlQuery(t, server, database, `select r.routine_name, r.routine_type, r.routine_definition, r.is_deterministic, r.security_type, r.sql_mode, r.definer, p.parameter_mode, p.parameter_name, p.dtd_identifier
			from information_schema.routines r left join information_schema.parameters p on p.specific_schema = r.routine_schema and p.specific_name = r.specific_name
			where r.routine_schema = database() order by 1, 2, p.ordinal_position`),
		"triggers": mysqlQuery(t, server, database, "select trigger_name, event_object_table, action_timing, event_manipulation, action_statement, definer, sql_mode from information_schema.triggers where trigger_schema = database() order by 1"),
		"events": mysqlQuery(t, server, database, `select event_name, event_definition, event_type, interval_value, interval_field, starts, ends, status, on_completion, event_comment, definer
			from information_schema.events where event_schema = database() order by 1`),
	}
	require.Len(t, content["events"], 2)
	for _, table := range mysqlQuery(t, server, database, "select table_name from information_schema.tables where table_schema = database()") {
		quoted := "`" + strings.ReplaceAll(table, "`", "``") + "`"
		content["definition of "+table] = mysqlQuery(t, server, database, "show create table "+quoted)
		for i, text := range content["definition of "+table] { // a default by a sequence names it
			content["definition of "+table][i] = strings.ReplaceAll(text, "`"+database+"`.", "")
		}
		content["rows of "+table] = mysqlQuery(t, server, database, "select * from "+quoted)
		slices.Sort(content["rows of "+table])
	}
	require.NotEmpty(t, content["rows of every_type"])
	return content
}

// mysqlQuery reads rows as text.
func mysqlQuery(t *testing.T, server *mariadbserver.Server, database, query string) []string {
	t.Helper()
	db := server.Open(database)
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), query)
	require.NoError(t, err, query)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	found := []string{}
	for rows.Next() {
		raw, targets := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range raw {
			targets[i] = &raw[i]
		}
		require.NoError(t, rows.Scan(targets...))
		values := make([]string, len(columns))
		for i := range raw {
			if values[i] = raw[i].String; !raw[i].Valid {
				values[i] = "NULL"
			}
		}
		found = append(found, strings.Join(values, "\x01"))
	}
	require.NoError(t, rows.Err())
	return found
}
