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

// mysqlRows has a column of every type that MariaDB 10.11 has.
var mysqlRows = []string{
	`CREATE TABLE every_type (n int PRIMARY KEY, t tinyint, s smallint unsigned zerofill, m mediumint, b bigint unsigned, f float, d double, e decimal(20,5), bits bit(9),
		bo boolean, da date, dt datetime(3), ts timestamp(6) NULL, ti time(6), y year, c char(10), v varchar(300), bi binary(8), vb varbinary(300),
		tt tinytext, te text, mt mediumtext, lt longtext, tb tinyblob, bl blob, mb mediumblob, lb longblob, en enum('a', 'it''s'), se set('x', 'y'), j json,
		u uuid, i4 inet4, i6 inet6, g geometry, p point, ls linestring, po polygon, mp multipoint, gc geometrycollection)`,
	`INSERT INTO every_type VALUES (1, -128, 65535, -8388608, 18446744073709551615, 1.5, 2.25e300, 123.45678, b'101010101', true, '1000-01-01', '2025-02-03 04:05:06.789',
		'2025-02-03 04:05:06.123456', '-838:59:59', 2155, 'c', 'ünï 😀 \\ \n '' "', x'00ff', x'5c27220a00', 'tiny', 'text', 'medium', repeat('x', 70000), x'', x'00', x'ff', x'00010203',
		'it''s', 'x,y', '{"a": [1, null, "é"]}', '6ccd780c-baba-1026-9564-5b8c656024db', '1.2.3.4', '2001:db8::1', point(1, 2), point(3, 4), ST_GeomFromText('LINESTRING(0 0, 1 1)'),
		ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))'), ST_GeomFromText('MULTIPOINT(0 0, 1 1)'), ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))'))`,
	`INSERT INTO every_type (n) VALUES (2)`,
	`CREATE TABLE customers (id int AUTO_INCREMENT PRIMARY KEY, name varchar(100) NOT NULL)`,
	`CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY, customer int NOT NULL, note varchar(200), FOREIGN KEY (customer) REFERENCES customers (id))`,
	`INSERT INTO customers (name) SELECT concat('customer ', seq) FROM seq_1_to_500`,
	`INSERT INTO orders (customer, note) SELECT 1 + seq % 500, sha2(seq, 512) FROM seq_1_to_40000`,
	`CREATE VIEW by_customer AS SELECT c.name, count(*) AS orders FROM customers c JOIN orders o ON o.customer = c.id GROUP BY c.name`,
	`CREATE FUNCTION twice(a int) RETURNS int DETERMINISTIC RETURN a * 2`,
	`CREATE TRIGGER shout BEFORE INSERT ON customers FOR EACH ROW SET NEW.name = upper(NEW.name)`,
}

func TestMySQLAndMariaDBBackUpAndRestoreThroughTheProduct(t *testing.T) {
	for _, kind := range []domain.DatasourceType{domain.MariaDB, domain.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			server, err := mariadb()
			require.NoError(t, err)
			name := "shop_" + string(kind)
			mysqlExec(t, server, "", "CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
			mysqlExec(t, server, name, mysqlRows...)
			source := mysqlDatasource(t, server, kind, name)
			// A backup of one type is restored into the other: they are one family.
			other := mysqlDatasource(t, server, map[domain.DatasourceType]domain.DatasourceType{domain.MariaDB: domain.MySQL, domain.MySQL: domain.MariaDB}[kind], name+"_other")
			storage, err := shared.owner.StorageLocations.Create(t.Context(), client.StorageLocationDocument{
				Name: name + " disk", Type: domain.StorageLocal, Pool: domain.DefaultPool, Config: domain.StorageConfig{Path: filepath.Join(t.TempDir(), "backups")},
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
			mysqlExec(t, server, name, "UPDATE every_type SET t = 5, lt = 'changed' WHERE n = 2", "INSERT INTO orders (customer, note) VALUES (1, 'new')",
				"DELETE FROM orders WHERE id = 39000", "ALTER TABLE customers ADD COLUMN flag boolean DEFAULT true")
			increment, asOfIncrement := backUp(), mysqlContent(t, server, name)
			require.Equal(t, domain.Incremental, increment.BackupType, increment.Metadata.FullReason)
			require.Positive(t, increment.Metadata.ReusedChunks)

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
			require.Empty(t, mysqlQuery(t, server, "", "select schema_name from information_schema.schemata where schema_name like '%\\_dg\\_%' or schema_name like '%\\_old\\_%'"))
			check, err := shared.owner.TestDatasource(t.Context(), source.ID)
			require.NoError(t, err)
			require.Equal(t, domain.HealthOK, check.Status, check.Message)
		})
	}
}

func mysqlDatasource(t *testing.T, server *mariadbserver.Server, kind domain.DatasourceType, database string) client.Datasource {
	t.Helper()
	made, err := shared.owner.Datasources.Create(t.Context(), client.DatasourceDocument{
		Name: fmt.Sprintf("%s as %s", database, kind), Type: kind, Pool: domain.DefaultPool,
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
		"routines": mysqlQuery(t, server, database, "select routine_name, routine_definition from information_schema.routines where routine_schema = database() order by 1"),
		"triggers": mysqlQuery(t, server, database, "select trigger_name, action_statement from information_schema.triggers where trigger_schema = database() order by 1"),
	}
	for _, table := range mysqlQuery(t, server, database, "select table_name from information_schema.tables where table_schema = database()") {
		content["definition of "+table] = mysqlQuery(t, server, database, "show create table `"+table+"`")
		content["rows of "+table] = mysqlQuery(t, server, database, "select * from `"+table+"`")
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
