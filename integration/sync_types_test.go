package integration

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongodbserver"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver/tdsserver"
	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

// like registers a datasource like another one, with another place.
func like(t *testing.T, d client.Datasource, name, password string, change func(*domain.ConnectionConfig)) client.Datasource {
	t.Helper()
	config := d.ConnectionConfig
	config.Password = password
	change(&config)
	made, err := shared.owner.Datasources.Create(t.Context(), client.DatasourceDocument{Name: d.Name + " " + name, Type: d.Type, Pool: d.Pool, ConnectionConfig: config})
	require.NoError(t, err)
	return made
}

// syncsOnto runs a sync that must be refused because the target holds something, before anything is dumped, and then one
// that may replace it.
func (s *setup) syncsOnto(t *testing.T, target client.Datasource, change func(*client.SyncJobDocument)) client.JobRun {
	t.Helper()
	job := s.syncJob(t, target, func(d *client.SyncJobDocument) {
		d.DropExisting = false
		if change != nil {
			change(d)
		}
	})
	refused := waitSync(t, startSync(t, job))
	require.Equal(t, domain.Failed, refused.Status)
	require.Contains(t, refused.ErrorMessage, "not empty")
	require.Contains(t, refused.Metadata.Hint, "drop_existing")
	require.Nil(t, refused.BackupExecutionID, "it was dumped for nothing")
	require.Nil(t, refused.RestoreExecutionID)
	_, err := shared.owner.SyncJobs().Update(t.Context(), job.ID, map[string]any{"drop_existing": true, "confirmation_phrase": client.ConfirmRestore(target.Name)})
	require.NoError(t, err)
	run := waitSync(t, startSync(t, job))
	require.Equal(t, domain.Completed, run.Status, run.ErrorMessage)
	return run
}

// isRefusedAsTheSame runs a sync whose sides are one database under two names.
func (s *setup) isRefusedAsTheSame(t *testing.T, target client.Datasource) {
	t.Helper()
	run := waitSync(t, startSync(t, s.syncJob(t, target, nil)))
	require.Equal(t, domain.Failed, run.Status)
	require.Contains(t, run.ErrorMessage, "are the same database")
	require.Nil(t, run.BackupExecutionID)
}

func storageOf(t *testing.T, job client.BackupJob) client.StorageLocation {
	t.Helper()
	storage, err := shared.owner.StorageLocations.Get(t.Context(), job.StorageLocationID)
	require.NoError(t, err)
	return storage
}

func TestASQLiteDatabaseIsSynced(t *testing.T) {
	file := newSQLiteSetup(t)
	s := &setup{datasource: file.datasource, storage: storageOf(t, file.job)}
	copied := filepath.Join(t.TempDir(), "copy.db")
	file.exec(t, copied, "CREATE TABLE keep (n INT); INSERT INTO keep VALUES (42)")
	target := like(t, file.datasource, "copy", "", func(c *domain.ConnectionConfig) { c.FilePath = copied })
	s.syncsOnto(t, target, func(d *client.SyncJobDocument) {
		d.SyncOptions.PostRestoreSQL = []string{"UPDATE everything SET t = 'masked ' || id"}
	})
	db := openSQLite(t, copied)
	defer func() { _ = db.Close() }()
	var rows, masked int
	require.NoError(t, db.QueryRow("SELECT count(*), count(*) FILTER (WHERE t LIKE 'masked %') FROM everything").Scan(&rows, &masked))
	require.Equal(t, []int{60_002, 60_002}, []int{rows, masked})

	link := filepath.Join(t.TempDir(), "link.db")
	require.NoError(t, os.Symlink(file.path, link))
	s.isRefusedAsTheSame(t, like(t, file.datasource, "link", "", func(c *domain.ConnectionConfig) { c.FilePath = link }))
	hard := filepath.Join(filepath.Dir(file.path), "hard.db")
	require.NoError(t, os.Link(file.path, hard))
	s.isRefusedAsTheSame(t, like(t, file.datasource, "hard link", "", func(c *domain.ConnectionConfig) { c.FilePath = hard }))
}

func TestADirectoryIsSynced(t *testing.T) {
	files := newFilesSetup(t, domain.ConnectionConfig{})
	s := &setup{datasource: files.datasource, storage: storageOf(t, files.job)}
	copied := filepath.Join(files.place, "copy")
	putFile(t, copied, "keep", "42")
	s.syncsOnto(t, like(t, files.datasource, "copy", "", func(c *domain.ConnectionConfig) { c.SourcePath = copied }), nil)
	require.Equal(t, describeTree(t, files.tree), describeTree(t, copied))

	link := filepath.Join(files.place, "link")
	require.NoError(t, os.Symlink(files.place, link))
	inside := filepath.Join(link, "tree", "data")
	s.isRefusedAsTheSame(t, like(t, files.datasource, "inside", "", func(c *domain.ConnectionConfig) { c.SourcePath = inside }))
}

func TestMongoDBIsSynced(t *testing.T) {
	s := newMongoSetup(t)
	s.fillMongo(t, 300)
	for _, mode := range []string{"stored", "direct"} {
		name := s.database + "_" + mode
		target := like(t, s.datasource, mode, mongodbserver.Password, func(c *domain.ConnectionConfig) { c.Database = name })
		_, err := s.client.Database(name).Collection("keep").InsertOne(t.Context(), bson.D{{Key: "n", Value: 42}})
		require.NoError(t, err)
		s.syncsOnto(t, target, func(d *client.SyncJobDocument) {
			if mode == "direct" {
				d.StorageLocationID = ""
			}
		})
		require.Equal(t, s.content(t, s.database), s.content(t, name))
	}
}

func TestSQLServerIsSyncedAndProved(t *testing.T) {
	s := newSQLServer(t, domain.BackupOptions{}, nil)
	name := s.database + "_copy"
	s.server.Create(name, map[string][]string{"keep": {"42"}})
	s.syncsOnto(t, like(t, s.datasource, "copy", tdsserver.Password, func(c *domain.ConnectionConfig) { c.Database = name }), nil)
	require.Equal(t, s.server.Content(s.database), s.server.Content(name))

	requireCompleted(t, s.backUp(t))
	proof := drillJob(t, s.datasource, nil)
	run := runDrill(t, proof)
	require.Equal(t, domain.Completed, run.Status, run.ErrorMessage)
	require.Equal(t, 2, run.Metadata.Drill.Checks.Tables)
	require.Equal(t, "not recorded", run.Metadata.Drill.Checks.RowCounts)
	require.Equal(t, "valid", run.Metadata.Drill.Checks.ForeignKeys)
	require.NotZero(t, run.Metadata.Drill.Checks.Rows)

	s.server.Change(s.database, func(d *tdsserver.Database) { d.Damaged = true }) // which no checksum shows
	requireCompleted(t, s.backUp(t))
	run = runDrill(t, proof)
	require.Equal(t, domain.Failed, run.Status)
	require.Contains(t, run.ErrorMessage, "consistency errors in database")
	s.requireClean(t)
}

// A second server gets all databases of the first, and then has no space for a drill.
func TestAWholeServerIsSyncedAndADrillOnAFullDiskCleansUp(t *testing.T) {
	small := storagetest.SmallDir(t, 24<<20)
	s, names := wholeServer(t, "y")
	dir := filepath.Join(shared.dir, unique(t))
	server, err := postgres.Start(t.Context(), postgres.Options{DataDir: dir, NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	address, err := url.Parse(server.DatabaseURL("postgres"))
	require.NoError(t, err)
	second, err := pgx.Connect(t.Context(), server.DatabaseURL("postgres"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = second.Close(context.Background()) })
	do := func(statement string) {
		t.Helper()
		_, err := second.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	do("create database " + names[1])
	there, err := pgx.Connect(t.Context(), server.DatabaseURL(names[1]))
	require.NoError(t, err)
	_, err = there.Exec(t.Context(), "create table keep (n int)")
	require.NoError(t, err)
	require.NoError(t, there.Close(t.Context()))
	target := like(t, s.datasource, "second", server.Password(), func(c *domain.ConnectionConfig) {
		c.Host, c.Username = address.Hostname(), address.User.Username()
		c.Port, err = strconv.Atoi(address.Port())
		require.NoError(t, err)
	})
	s.isRefusedAsTheSame(t, like(t, s.datasource, "behind a proxy", s.password, func(c *domain.ConnectionConfig) { c.Port = forward(t, s.port) }))
	s.syncsOnto(t, target, nil)
	for i, rows := range []int{1000, 10} {
		there, err := pgx.Connect(t.Context(), server.DatabaseURL(names[i]))
		require.NoError(t, err)
		var n int
		require.NoError(t, there.QueryRow(t.Context(), "select count(*) from t").Scan(&n))
		require.Equal(t, rows, n)
		require.NoError(t, there.Close(t.Context()))
	}
	requireCompleted(t, s.backUp(t))
	whole := runDrill(t, drillJob(t, s.datasource, nil))
	require.Equal(t, domain.Completed, whole.Status, whole.ErrorMessage)
	require.Equal(t, 2, whole.Metadata.Drill.Checks.Tables)
	require.Equal(t, int64(1010), whole.Metadata.Drill.Checks.Rows)
	require.Equal(t, "same", whole.Metadata.Drill.Checks.RowCounts)
	require.Equal(t, "valid", whole.Metadata.Drill.Checks.ForeignKeys)
	requireDropped(t, whole)

	t.Run("a drill on another server", func(t *testing.T) {
		orders := makeSetup(t, withRows(100))
		requireCompleted(t, orders.backUp(t))
		run := runDrill(t, drillJob(t, orders.datasource, func(d *client.DrillJobDocument) {
			d.TargetDatasourceID = target.ID
			d.DrillOptions.Assertions = []domain.DrillAssertion{
				{Name: "it is there", SQL: "select current_setting('port')", Expect: address.Port()},
				{Name: "the rows are", SQL: "select count(*) from orders", Expect: "100"},
			}
		}))
		require.Equal(t, domain.Completed, run.Status, run.ErrorMessage)
		require.Equal(t, target.ID, run.Metadata.Drill.TargetDatasourceID)
		require.Len(t, run.Metadata.Drill.Checks.Assertions, 2)
		requireDropped(t, run)
		var left int
		require.NoError(t, second.QueryRow(t.Context(), "select count(*) from pg_database where datname like '%' || $1", domain.ID8(*run.RestoreExecutionID)).Scan(&left))
		require.Zero(t, left, "the temporary database is still there")
	})

	// The databases of a drill are made where template0 is.
	owner, err := os.Stat(dir) // the private Postgres runs as another user
	require.NoError(t, err)
	is := owner.Sys().(*syscall.Stat_t)
	require.NoError(t, os.Chmod(filepath.Dir(filepath.Dir(small)), 0o755)) //nolint:gosec // the test's own, which that user passes through
	require.NoError(t, os.Chown(small, int(is.Uid), int(is.Gid)))
	do("create tablespace small location '" + small + "'")
	do("alter database template0 set tablespace small")
	t.Run("a drill", func(t *testing.T) {
		noisy := makeSetup(t, withNoise(30))
		require.Equal(t, domain.Completed, noisy.backUp(t).Status)
		run := runDrill(t, drillJob(t, noisy.datasource, func(d *client.DrillJobDocument) { d.TargetDatasourceID = target.ID }))
		require.Equal(t, domain.Failed, run.Status)
		require.Equal(t, "StorageFull", run.Metadata.FailureClass, run.ErrorMessage)
		require.Contains(t, run.ErrorMessage, "No space left on device")
		require.Contains(t, run.Metadata.Hint, "Free space")
	})
	var left int
	require.NoError(t, second.QueryRow(t.Context(), "select count(*) from pg_database where datname like '%\\_dg\\_%'").Scan(&left))
	require.Zero(t, left, "the temporary database is still there")
}
