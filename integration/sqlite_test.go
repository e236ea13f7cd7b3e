package integration

import (
	"bytes"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/proto"
	_ "modernc.org/sqlite"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver/tdsserver"
)

// sqliteTypes is a table of each kind and a column of each type that SQLite has.
const sqliteTypes = `
PRAGMA journal_mode = WAL;
CREATE TABLE everything (id INTEGER PRIMARY KEY, i INTEGER, r REAL, t TEXT NOT NULL, b BLOB, n NUMERIC, bool BOOLEAN, d DATE, any);
CREATE TABLE exact (i INT, r REAL, t TEXT, b BLOB, a ANY, twice INT GENERATED ALWAYS AS (i * 2) STORED) STRICT;
CREATE TABLE keyed (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5(body);
CREATE VIRTUAL TABLE areas USING rtree(id, x1, x2);
CREATE INDEX by_t ON everything (lower(t)) WHERE i > 0;
CREATE VIEW seen AS SELECT t FROM everything;
CREATE TRIGGER kept AFTER DELETE ON everything BEGIN INSERT OR REPLACE INTO keyed VALUES (old.t, old.id); END;
INSERT INTO everything VALUES (1, -9223372036854775808, 1e308, 'ünï😀''"', x'00ff', 1.5, TRUE, '2024-02-29', NULL), (2, NULL, NULL, '', zeroblob(70000), 'x', 0, NULL, x'01');
INSERT INTO exact (i, r, t, b, a) VALUES (1, 0.1, 'a', x'', 'any'), (NULL, NULL, NULL, NULL, NULL);
INSERT INTO words VALUES ('the quick brown fox'); INSERT INTO areas VALUES (1, 0, 2.5); INSERT INTO keyed VALUES ('k', 1);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) INSERT INTO everything (i, t, b) SELECT i, 'row ' || i, randomblob(300) FROM n;`

// sqliteSetup is one test's own database file, with what a backup of it needs.
type sqliteSetup struct {
	path       string
	datasource client.Datasource
	job        client.BackupJob
}

func newSQLiteSetup(t *testing.T) *sqliteSetup {
	t.Helper()
	t.Parallel()
	name, ctx := unique(t)+" file", t.Context()
	s := &sqliteSetup{path: filepath.Join(t.TempDir(), "orders.db")}
	s.exec(t, s.path, sqliteTypes)
	var err error
	s.datasource, err = shared.owner.Datasources.Create(ctx, client.DatasourceDocument{
		Name: name + " source", Type: domain.SQLite, ConnectionConfig: domain.ConnectionConfig{FilePath: s.path},
	})
	require.NoError(t, err)
	storage, err := shared.owner.StorageLocations.Create(ctx, client.StorageLocationDocument{
		Name: name + " disk", Type: domain.StorageLocal, Config: domain.StorageConfig{Path: filepath.Join(t.TempDir(), "backups")},
	})
	require.NoError(t, err)
	s.job, err = shared.owner.BackupJobs.Create(ctx, client.BackupJobDocument{
		RetentionPolicy: keepEverything, Name: name, DatasourceID: s.datasource.ID, StorageLocationID: storage.ID, BackupOptions: domain.BackupOptions{Verify: domain.VerifyFull},
	})
	require.NoError(t, err)
	return s
}

func (s *sqliteSetup) exec(t *testing.T, path, statements string) {
	t.Helper()
	db := openSQLite(t, path)
	_, err := db.Exec(statements)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

func openSQLite(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath())
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	return db
}

func (s *sqliteSetup) backUp(t *testing.T, kind domain.BackupType) client.Execution {
	t.Helper()
	e, err := shared.owner.RunJob(t.Context(), s.job.ID, &domain.BackupOptions{BackupType: kind, Verify: domain.VerifyFull})
	require.NoError(t, err)
	e = wait(t, e)
	require.Equal(t, domain.Completed, e.Status, e.ErrorMessage)
	require.Equal(t, kind, e.BackupType)
	require.True(t, e.Metadata.Verification.OK)
	return e
}

func (s *sqliteSetup) restore(t *testing.T, backup client.Execution, options ...func(*client.RestoreRequest)) client.Execution {
	t.Helper()
	request := client.RestoreRequest{TargetDatasourceID: s.datasource.ID, ConfirmationPhrase: client.ConfirmRestore(s.datasource.Name)}
	for _, apply := range options {
		apply(&request)
	}
	e, err := shared.owner.Restore(t.Context(), backup.ID, request)
	require.NoError(t, err)
	return wait(t, e)
}

// sqliteContent is the schema and every row.
func sqliteContent(t *testing.T, path string) map[string][]string {
	t.Helper()
	db := openSQLite(t, path)
	defer func() { require.NoError(t, db.Close()) }()
	found := map[string][]string{"schema": enginetest.Rows(t, db, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2")}
	for _, table := range []string{"everything", "exact", "keyed", "words", "areas", "seen"} {
		found[table] = enginetest.Rows(t, db, "SELECT * FROM "+table)
	}
	return found
}

func TestASQLiteDatabaseIsBackedUpIncrementallyAndRestored(t *testing.T) {
	s := newSQLiteSetup(t)
	check, err := shared.owner.TestDatasource(t.Context(), s.datasource.ID)
	require.NoError(t, err)
	require.NotEmpty(t, check.ServerVersion)
	backups := map[string]client.Execution{"full.db": s.backUp(t, domain.Full)}
	contents := map[string]map[string][]string{"full.db": sqliteContent(t, s.path)}

	s.exec(t, s.path, "UPDATE everything SET t = 'changed' WHERE id = 9000; INSERT INTO keyed VALUES ('new', x'aa'); DELETE FROM everything WHERE id = 2;")
	backups["increment.db"], contents["increment.db"] = s.backUp(t, domain.Incremental), sqliteContent(t, s.path)
	require.Less(t, backups["increment.db"].CompressedSizeBytes, backups["full.db"].CompressedSizeBytes/2, "pages that did not change are not stored again")
	for name, backup := range backups {
		restored := s.restore(t, backup, restoreTo(name))
		require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
		require.Equal(t, contents[name], sqliteContent(t, filepath.Join(filepath.Dir(s.path), name)), name)
	}

	s.exec(t, s.path, "DROP TABLE everything")
	refused := s.restore(t, backups["full.db"])
	require.Equal(t, domain.Failed, refused.Status)
	require.Contains(t, refused.ErrorMessage, "not empty")
	replaced := s.restore(t, backups["full.db"], dropExisting())
	require.Equal(t, domain.Completed, replaced.Status, replaced.ErrorMessage)
	require.Equal(t, contents["full.db"], sqliteContent(t, s.path))

	verified := s.restore(t, backups["increment.db"], verification())
	require.Equal(t, domain.Completed, verified.Status, verified.ErrorMessage)
	left, err := filepath.Glob(filepath.Join(filepath.Dir(s.path), "*"))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"orders.db", "full.db", "increment.db"}, bases(left), "nothing else is left beside the database")
}

func bases(paths []string) (names []string) {
	for _, path := range paths {
		if base := filepath.Base(path); filepath.Ext(base) == ".db" || filepath.Ext(base) == ".part" {
			names = append(names, base)
		}
	}
	return names
}

func TestADamagedSQLiteDatabaseIsNoBackup(t *testing.T) {
	s := newSQLiteSetup(t)
	file, err := os.OpenFile(s.path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteAt(bytes.Repeat([]byte{0xa5}, 16<<10), 100<<12)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	e, err := shared.owner.RunJob(t.Context(), s.job.ID, nil)
	require.NoError(t, err)
	e = wait(t, e)
	require.Equal(t, domain.Failed, e.Status)
	require.Contains(t, e.ErrorMessage, "damaged")
}

func TestSchemaAndQueryComeFromTheWorker(t *testing.T) {
	lite := newSQLiteSetup(t)
	s := makeSetup(t, withRows(2000))
	const marker = "marker of a secret statement"
	maria, err := mariadb()
	require.NoError(t, err)
	mysqlExec(t, maria, "", "CREATE DATABASE "+s.database)
	mysqlExec(t, maria, s.database, "CREATE TABLE orders (id int PRIMARY KEY, note varchar(20))", "INSERT INTO orders SELECT seq, 'ü' FROM seq_1_to_3000")
	counting := func(table string) string { return "SELECT count(*), '" + marker + "' AS m FROM " + table }
	served := makeSQLServer(t, unique(t)+"_tds", domain.BackupOptions{}, nil)
	number, everything := tdsserver.Column{Name: "n", Kind: tdsserver.Int}, tdsserver.Answer{}
	everything.Columns = []tdsserver.Column{number}
	for i := range domain.MaxQueryRows + 1 {
		everything.Rows = append(everything.Rows, []any{int64(i)})
	}
	served.server.Answers(counting("orders"), tdsserver.Answer{Columns: []tdsserver.Column{number, {Name: "m", Kind: tdsserver.NVarChar}}, Rows: [][]any{{int64(100_000), marker}}})
	served.server.Answers("SELECT * FROM orders", everything)
	for name, test := range map[string]struct {
		datasource client.Datasource
		table      string
		rows       int64
	}{
		"postgres": {s.datasource, "orders", 2000}, "sqlite": {lite.datasource, "everything", 60002}, "sqlserver": {served.datasource, "orders", 100_000},
		"mariadb": {mysqlDatasource(t, maria, domain.MariaDB, domain.DefaultPool, s.database), "orders", 3000},
	} {
		t.Run(name, func(t *testing.T) {
			schema, err := shared.owner.Schema(t.Context(), test.datasource.ID, "")
			require.NoError(t, err)
			require.Contains(t, fmt.Sprint(schema.Objects), test.table)
			result, err := shared.owner.Query(t.Context(), test.datasource.ID, client.QueryRequest{Statement: counting(test.table)})
			require.NoError(t, err)
			require.Equal(t, [][]any{{float64(test.rows), marker}}, result.Rows)
			require.Equal(t, "m", result.Columns[1].Name)
			result, err = shared.owner.Query(t.Context(), test.datasource.ID, client.QueryRequest{Statement: "SELECT * FROM " + test.table})
			require.NoError(t, err)
			require.True(t, result.Truncated)
			require.Len(t, result.Rows, domain.MaxQueryRows)

			_, err = shared.owner.Query(t.Context(), test.datasource.ID, client.QueryRequest{Statement: "WITH x AS (SELECT 1) DELETE FROM " + test.table})
			var refused *client.Problem
			require.ErrorAs(t, err, &refused)
			require.Equal(t, 422, refused.Status)
			require.NotEmpty(t, refused.Detail)
		})
	}
	seen := 0
	for _, history := range transferHistories(t) {
		raw, err := proto.Marshal(historyOf(t, history.Execution.WorkflowId))
		require.NoError(t, err)
		require.False(t, bytes.Contains(raw, []byte(marker)), "neither statements nor rows are in a workflow history")
		seen++
	}
	require.Positive(t, seen)
}

func transferHistories(t *testing.T) []*workflowpb.WorkflowExecutionInfo {
	t.Helper()
	var found []*workflowpb.WorkflowExecutionInfo
	require.Eventually(t, func() bool { // visibility follows the workflows
		answer, err := shared.dialled.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: "WorkflowType = '" + contract.OpenTransfer.Name + "'", PageSize: 1000,
		})
		require.NoError(t, err)
		found = answer.Executions
		return len(found) >= 16
	}, patience, 100*time.Millisecond)
	return found
}
