package integration

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/worker"
)

// drillJob proves the latest backup of a datasource; change adapts the job.
func drillJob(t *testing.T, datasource client.Datasource, change func(*client.DrillJobDocument)) client.DrillJob {
	t.Helper()
	document := client.DrillJobDocument{Name: unique(t) + " drill", DatasourceID: datasource.ID}
	if change != nil {
		change(&document)
	}
	job, err := shared.owner.DrillJobs().Create(t.Context(), document)
	require.NoError(t, err)
	return job
}

func runDrill(t *testing.T, job client.DrillJob) client.JobRun {
	t.Helper()
	run, err := shared.owner.DrillRuns().Start(t.Context(), job.ID)
	require.NoError(t, err)
	ended, err := shared.owner.DrillRuns().Wait(t.Context(), run.ID)
	require.NoError(t, err)
	return ended
}

func assertions(list ...domain.DrillAssertion) func(*client.DrillJobDocument) {
	return func(d *client.DrillJobDocument) { d.DrillOptions.Assertions = list }
}

// requireDropped fails when the temporary database of a drill is still there.
func requireDropped(t *testing.T, run client.JobRun) {
	t.Helper()
	require.NotNil(t, run.RestoreExecutionID)
	restore, err := shared.owner.GetExecution(t.Context(), *run.RestoreExecutionID)
	require.NoError(t, err)
	require.Equal(t, domain.TriggerDrill, restore.Metadata.Trigger)
	requireNoLeftovers(t, restore)
}

func TestADrillProvesABackupAndRecordsItsRecoveryTime(t *testing.T) {
	for _, jobs := range []int{1, 3} {
		t.Run(map[int]string{1: "one job", 3: "several jobs"}[jobs], func(t *testing.T) {
			s := newSetup(t, withRows(30_000), withOptions(domain.BackupOptions{ParallelJobs: jobs}))
			s.exec(t, s.database, `create table "odd ""name" (t text); insert into "odd ""name" values (E'two\nlines\\'), (null), (''); create table empty (n int)`)
			backup := s.backUp(t)
			require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
			job := drillJob(t, s.datasource, assertions(
				domain.DrillAssertion{Name: "there are orders", SQL: "select count(*) > 0 from orders"},
				domain.DrillAssertion{Name: "as many as there were", SQL: "select count(*) from orders", Expect: "30000"},
			))
			var runs []client.JobRun
			for range 2 {
				run := runDrill(t, job)
				runs = append(runs, run)
				require.Equal(t, domain.Completed, run.Status, run.ErrorMessage)
				require.Equal(t, backup.ID, *run.BackupExecutionID)
				report := run.Metadata.Drill
				require.NotNil(t, report.Checks)
				require.Equal(t, 4, report.Checks.Tables)
				require.Equal(t, int64(30_000+3_001+3), report.Checks.Rows)
				require.Equal(t, "same", report.Checks.RowCounts)
				require.Equal(t, "valid", report.Checks.ForeignKeys)
				require.Equal(t, "30000", report.Checks.Assertions[1].Value)
				require.Positive(t, report.RecoverySeconds)
				requireDropped(t, run)
			}
			times, err := shared.owner.DrillTimes(t.Context(), job.ID)
			require.NoError(t, err)
			require.Len(t, times, 2)
			require.Equal(t, backup.SizeBytes, times[0].BackupBytes)
			first, second := runs[0].Metadata.Drill, runs[1].Metadata.Drill
			require.Zero(t, first.MeanSeconds, "there is nothing to compare it with")
			require.InDelta(t, first.RecoverySeconds, second.MeanSeconds, 0.002)
			require.InDelta(t, (second.RecoverySeconds/second.MeanSeconds-1)*100, second.ChangePercent, 0.01)
			require.InDelta(t, second.RecoverySeconds, times[0].RecoverySeconds, 0.002, "the newest is the first")
			require.Equal(t, 2, s.notifications(t, job.ID, domain.NotifyRestoreDrillSuccess))
		})
	}
}

// requireNothingBeside fails when a drill left a file or a directory below dir.
func requireNothingBeside(t *testing.T, dir string, run client.JobRun) {
	t.Helper()
	require.NotNil(t, run.RestoreExecutionID)
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		require.NotContains(t, filepath.Base(path), domain.ID8(*run.RestoreExecutionID), "it is still there")
		return err
	}))
}

func TestADrillFailsWhenTheBackupDoesNotHoldWhatItSays(t *testing.T) {
	const pool = "lossy"
	s := newSetup(t, withRows(2_000), withPool(pool))
	s.exec(t, s.database, "create table only_of_the_lossy_test (n int); insert into only_of_the_lossy_test values (1)")
	var lose atomic.Bool // between loading and checking
	stop, err := shared.startWorker(worker.Options{Pools: []string{pool}, Boundary: func(name string) {
		if name == "restore.staged" && lose.Load() {
			assert.NoError(t, loseARow(context.Background()))
		}
	}})
	require.NoError(t, err)
	t.Cleanup(stop)
	job := drillJob(t, s.datasource, nil)
	fails := func(says string) client.JobRun {
		t.Helper()
		run := runDrill(t, job)
		require.Equal(t, domain.Failed, run.Status)
		require.Contains(t, run.ErrorMessage, says)
		return run
	}
	fails("has no completed backup")

	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	change := func(options domain.DrillOptions) {
		t.Helper()
		_, err := shared.owner.DrillJobs().Update(t.Context(), job.ID, map[string]any{"drill_options": options})
		require.NoError(t, err)
	}
	change(domain.DrillOptions{Assertions: []domain.DrillAssertion{{Name: "nothing is lost", SQL: "select count(*) from orders", Expect: "2001"}}})
	requireDropped(t, fails(`the answer is "2000", not "2001"`))
	change(domain.DrillOptions{Assertions: []domain.DrillAssertion{{Name: "writes", SQL: "with gone as (delete from orders returning 1) select count(*) from gone"}}})
	requireDropped(t, fails("DECLARE CURSOR must not contain data-modifying statements"))
	change(domain.DrillOptions{Assertions: []domain.DrillAssertion{{Name: "writes by a function", SQL: "select nextval('orders_id_seq')"}}})
	requireDropped(t, fails("read-only transaction"))
	change(domain.DrillOptions{Assertions: []domain.DrillAssertion{{Name: "two rows", SQL: "select id from orders limit 2"}}})
	requireDropped(t, fails("2 rows of 1 columns"))
	require.Equal(t, "2000", s.scalar(t, s.database, "select count(*)::text from orders"))
	change(domain.DrillOptions{})

	lose.Store(true)
	requireDropped(t, fails("table public.orders has 1999 rows, 2000 were dumped"))
	lose.Store(false)

	chunk := s.chunks(t)[0]
	content, err := os.ReadFile(chunk)
	require.NoError(t, err)
	content[len(content)/2] ^= 1
	require.NoError(t, os.WriteFile(chunk, content, 0o600))
	corrupt := fails("")
	require.Equal(t, "Corrupt", corrupt.Metadata.FailureClass, corrupt.ErrorMessage)
	requireDropped(t, corrupt)

	s.exec(t, "dataguardian", "update backup_executions set started_at = started_at - interval '3 days' where id = '"+backup.ID+"'")
	fails("hours old, and max_backup_age_hours is 48")
	require.Equal(t, 8, s.notifications(t, job.ID, domain.NotifyRestoreDrillFailed))
}

// loseARow deletes a row of what a restore has just loaded into a temporary database.
func loseARow(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, shared.postgres.DatabaseURL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, "select datname::text from pg_database where datname like 'dataguardian\\_verify\\_dg\\_%'")
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names { // other tests have some too, without this table
		there, err := pgx.Connect(ctx, shared.postgres.DatabaseURL(name))
		if err != nil {
			continue
		}
		_, _ = there.Exec(ctx, "delete from orders where id = 7 and exists (select from only_of_the_lossy_test)")
		_ = there.Close(ctx)
	}
	return nil
}

func TestADrillProvesBackupsOfEveryOtherType(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		s := newSQLiteSetup(t)
		s.backUp(t, domain.Full)
		run := runDrill(t, drillJob(t, s.datasource, assertions(domain.DrillAssertion{Name: "rows", SQL: "select count(*) from everything", Expect: "60002"})))
		require.Equal(t, domain.Completed, run.Status, run.ErrorMessage)
		require.Equal(t, "same", run.Metadata.Drill.Checks.RowCounts)
		require.Equal(t, "valid", run.Metadata.Drill.Checks.ForeignKeys)
		require.Greater(t, run.Metadata.Drill.Checks.Rows, int64(60_000))
		requireNothingBeside(t, filepath.Dir(s.path), run)

		s.exec(t, s.path, "CREATE TABLE part (of INT REFERENCES whole (id)); CREATE TABLE whole (id INTEGER PRIMARY KEY); PRAGMA foreign_keys = OFF; INSERT INTO part VALUES (7)")
		s.backUp(t, domain.Full)
		run = runDrill(t, drillJob(t, s.datasource, func(d *client.DrillJobDocument) { d.Name += " of an orphan" }))
		require.Equal(t, domain.Failed, run.Status)
		require.Contains(t, run.ErrorMessage, "part to whole")
		require.Contains(t, run.Metadata.Hint, "drill_options.foreign_keys")
		requireNothingBeside(t, filepath.Dir(s.path), run)
		run = runDrill(t, drillJob(t, s.datasource, func(d *client.DrillJobDocument) {
			d.Name += " unchecked"
			d.DrillOptions.RowCounts, d.DrillOptions.ForeignKeys = new(bool), new(bool)
		}))
		require.Equal(t, domain.Completed, run.Status, run.ErrorMessage)
		require.Equal(t, "off", run.Metadata.Drill.Checks.RowCounts)
		require.Equal(t, "off", run.Metadata.Drill.Checks.ForeignKeys)
	})
	t.Run("files", func(t *testing.T) {
		s := newFilesSetup(t, domain.ConnectionConfig{})
		queued, err := shared.owner.RunJob(t.Context(), s.job.ID, nil)
		require.NoError(t, err)
		requireCompleted(t, wait(t, queued))
		run := runDrill(t, drillJob(t, s.datasource, nil))
		require.Equal(t, domain.Completed, run.Status, run.ErrorMessage)
		require.Greater(t, run.Metadata.Drill.Checks.Tables, 200)
		requireNothingBeside(t, s.place, run)
	})
	t.Run("mongodb", func(t *testing.T) {
		s := newMongoSetup(t)
		s.fillMongo(t, 300)
		requireCompleted(t, s.backUp(t))
		run := runDrill(t, drillJob(t, s.datasource, nil))
		require.Equal(t, domain.Completed, run.Status, run.ErrorMessage)
		require.Equal(t, "same", run.Metadata.Drill.Checks.RowCounts)
		require.GreaterOrEqual(t, run.Metadata.Drill.Checks.Rows, int64(301))
		names, err := s.client.ListDatabaseNames(t.Context(), bson.D{})
		require.NoError(t, err)
		require.NotContains(t, strings.Join(names, " "), domain.ID8(*run.RestoreExecutionID))
	})
}

// mysqlRows are those of tables without generated columns: of others mariadb-dump writes a form of INSERT whose rows are not counted.
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

func TestMariaDBIsSyncedAndProved(t *testing.T) {
	t.Parallel()
	server, err := mariadb()
	require.NoError(t, err)
	name := unique(t)
	mysqlExec(t, server, "", "CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
	mysqlExec(t, server, name, mysqlRows...)
	source := mysqlDatasource(t, server, domain.MariaDB, domain.DefaultPool, name)
	target := mysqlDatasource(t, server, domain.MariaDB, domain.DefaultPool, name+"_copy")
	s := &setup{datasource: source, pool: domain.DefaultPool}
	s.storage = disk(t.TempDir()).register(t, name+" disk", domain.DefaultPool)
	for _, direct := range []bool{false, true} {
		if direct { // from the one type to the other
			s.datasource = mysqlDatasource(t, server, domain.MySQL, domain.DefaultPool, name)
		}
		job := s.syncJob(t, target, func(d *client.SyncJobDocument) {
			d.Name = map[bool]string{false: "stored ", true: "direct "}[direct] + name
			d.SyncOptions.PostRestoreSQL = []string{"UPDATE customers SET name = 'masked'"}
			if direct {
				d.StorageLocationID = ""
			}
		})
		run := waitSync(t, startSync(t, job))
		require.Equal(t, domain.Completed, run.Status, run.ErrorMessage)
		require.Equal(t, []string{"500"}, mysqlQuery(t, server, name+"_copy", "select count(*) from customers where name = 'MASKED'"))
		require.Equal(t, mysqlQuery(t, server, name, "select * from every_type"), mysqlQuery(t, server, name+"_copy", "select * from every_type"))
		mysqlExec(t, server, name+"_copy", "DELETE FROM orders")
	}
	drill := drillJob(t, source, assertions(domain.DrillAssertion{Name: "orders", SQL: "select count(*) from orders", Expect: "40000"}))
	require.Contains(t, runDrill(t, drill).ErrorMessage, "has no completed backup", "that in between of the sync is nobody's protection")
	s.job, err = shared.owner.BackupJobs.Create(t.Context(), client.BackupJobDocument{Name: name, DatasourceID: source.ID, StorageLocationID: s.storage.ID})
	require.NoError(t, err)
	requireCompleted(t, s.backUp(t))
	run := runDrill(t, drill)
	require.Equal(t, domain.Completed, run.Status, run.ErrorMessage)
	require.Equal(t, "same", run.Metadata.Drill.Checks.RowCounts)
	require.Equal(t, "valid", run.Metadata.Drill.Checks.ForeignKeys)
	require.Equal(t, int64(40_000+500+2), run.Metadata.Drill.Checks.Rows)
	require.NotNil(t, run.RestoreExecutionID)
	require.Empty(t, mysqlQuery(t, server, "", "select schema_name from information_schema.schemata where schema_name like '%"+domain.ID8(*run.RestoreExecutionID)+"%'"))
}
