package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver/tdsserver"
)

// sqlServer is a setup whose datasource is a SQL Server: the one for tests, see package tdsserver.
type sqlServer struct {
	*setup
	server *tdsserver.Server
	shared string // the directory of server and worker
}

func newSQLServer(t *testing.T, options domain.BackupOptions, selection *domain.DatabaseSelection) *sqlServer {
	t.Helper()
	t.Parallel()
	return makeSQLServer(t, unique(t), options, selection)
}

// makeSQLServer is newSQLServer for a test that runs beside others already.
func makeSQLServer(t *testing.T, name string, options domain.BackupOptions, selection *domain.DatabaseSelection) *sqlServer {
	t.Helper()
	s := &sqlServer{
		setup: &setup{database: name, options: options}, shared: t.TempDir(),
		server: tdsserver.Start(t, tdsserver.Options{Progress: func() string { return "42.5 10 20" }}),
	}
	tables := map[string][]string{"customers": {"1 Zoë", "2 O'Brien"}}
	for i := range 100_000 {
		tables["orders"] = append(tables["orders"], fmt.Sprintf("%d %s", i, strings.Repeat(fmt.Sprint(i*7919), 8)))
	}
	s.server.Create(s.database, tables)
	config := domain.ConnectionConfig{
		Host: "127.0.0.1", Port: s.server.Port(), Database: s.database, Databases: selection, Username: tdsserver.Login, Password: tdsserver.Password,
		BackupDirectory: s.shared, WorkerDirectory: s.shared,
	}
	if selection != nil {
		config.Database = ""
	}
	var err error
	s.datasource, err = shared.owner.Datasources.Create(t.Context(), client.DatasourceDocument{
		Name: s.database + " source", Type: domain.SQLServer, Pool: domain.DefaultPool, ConnectionConfig: config,
	})
	require.NoError(t, err)
	s.storagePath = filepath.Join(t.TempDir(), "backups")
	s.storage, err = shared.owner.StorageLocations.Create(t.Context(), client.StorageLocationDocument{
		Name: s.database + " disk", Type: domain.StorageLocal, Pool: domain.DefaultPool, Config: domain.StorageConfig{Path: s.storagePath},
	})
	require.NoError(t, err)
	s.job, err = shared.owner.BackupJobs.Create(t.Context(), client.BackupJobDocument{
		RetentionPolicy: keepEverything, Name: s.database, DatasourceID: s.datasource.ID, StorageLocationID: s.storage.ID, BackupOptions: s.options,
	})
	require.NoError(t, err)
	return s
}

// restoreAs restores on the test's own datasource and wants a good end.
func (s *sqlServer) restoreAs(t *testing.T, backup client.Execution, change func(*client.RestoreRequest)) client.Execution {
	t.Helper()
	request := client.RestoreRequest{TargetDatasourceID: s.datasource.ID, ConfirmationPhrase: client.ConfirmRestore(s.datasource.Name)}
	change(&request)
	e, err := shared.owner.Restore(t.Context(), backup.ID, request)
	require.NoError(t, err)
	ended := wait(t, e)
	require.Equal(t, domain.Completed, ended.Status, ended.ErrorMessage)
	return ended
}

func (s *sqlServer) requireClean(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(s.shared)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestSQLServerFullIncrementAndDifferentialEachRestore(t *testing.T) {
	s := newSQLServer(t, domain.BackupOptions{BackupType: domain.Incremental, Verify: domain.VerifyFull}, nil)
	require.Equal(t, domain.HealthOK, s.testDatasource(t).Status)
	var backups []client.Execution
	var contents []map[string][]string
	for i, step := range []struct {
		kind   domain.BackupType
		change func(*tdsserver.Database)
	}{
		{domain.Full, func(*tdsserver.Database) {}},
		{domain.Incremental, func(d *tdsserver.Database) { d.Tables["customers"][1] = "2 changed" }},
		{domain.Incremental, func(d *tdsserver.Database) { d.Tables["new"] = []string{"1", "2"} }},
		{domain.Differential, func(d *tdsserver.Database) { delete(d.Tables, "customers") }},
	} {
		s.server.Change(s.database, step.change)
		contents = append(contents, s.server.Content(s.database))
		backup := s.backUpAs(t, step.kind)
		require.True(t, backup.Metadata.Verification.OK)
		require.Empty(t, backup.Metadata.Warnings)
		if i > 0 {
			require.Less(t, backup.CompressedSizeBytes, backups[0].CompressedSizeBytes/20)
			require.Greater(t, backup.SizeBytes, backups[0].SizeBytes, "it is complete by itself")
		}
		backups = append(backups, backup)
	}
	require.Equal(t, 3, s.server.Sent("WITH DIFFERENTIAL"))
	require.Equal(t, 4, s.server.Sent("BACKUP DATABASE"))
	for i, backup := range backups {
		target := fmt.Sprintf("%s_%d", s.database, i)
		restored := s.restoreAs(t, backup, restoreTo(target))
		require.Equal(t, len(contents[i]), restored.Metadata.RestoreReport.Tables)
		require.Equal(t, contents[i], s.server.Content(target))
	}
	s.restoreAs(t, backups[0], func(r *client.RestoreRequest) { r.DropExisting = true })
	require.Equal(t, contents[0], s.server.Content(s.database))
	require.Equal(t, "ONLINE MULTI_USER", s.server.Access(s.database))
	s.requireClean(t)
	s.requireNowhere(t, backups[3], tdsserver.Password)
}

func TestHowFarASQLServerIsReachesTheExecutionAndItsHeartbeats(t *testing.T) {
	s := newSQLServer(t, domain.BackupOptions{}, nil)
	release := make(chan struct{})
	s.server.Inject(&tdsserver.Fault{Match: "BACKUP DATABASE", Times: 1, Block: release})
	running := s.start(t)
	require.Eventually(t, func() bool {
		now, err := shared.owner.GetExecution(t.Context(), running.ID)
		require.NoError(t, err)
		return now.Metadata.Progress != nil && now.Metadata.Progress.ServerPercent == 42.5
	}, patience, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		description, err := shared.dialled.DescribeWorkflowExecution(t.Context(), "backup-"+running.ID, "")
		require.NoError(t, err)
		var told domain.Progress
		for _, activity := range description.PendingActivities {
			if activity.HeartbeatDetails != nil && converter.GetDefaultDataConverter().FromPayloads(activity.HeartbeatDetails, &told) == nil && told.ServerPercent == 42.5 {
				return true
			}
		}
		return false
	}, patience, 50*time.Millisecond)
	close(release)
	requireCompleted(t, wait(t, running))
	s.requireClean(t)
}

func TestEveryDatabaseOfASQLServerIsBackedUpByDifferentials(t *testing.T) {
	s := newSQLServer(t, domain.BackupOptions{BackupType: domain.Incremental, Verify: domain.VerifyFull}, &domain.DatabaseSelection{All: true})
	second := s.database + "/2"
	s.server.Create(second, map[string][]string{"t": {"1"}})
	s.backUpAs(t, domain.Full)
	s.server.Change(second, func(d *tdsserver.Database) { d.Tables["t"] = []string{"2"} })
	increment := s.backUpAs(t, domain.Incremental)
	require.Empty(t, increment.Metadata.Warnings)
	require.Equal(t, []string{s.database, second}, increment.Metadata.Databases)
	require.Equal(t, 2, s.server.Sent("WITH DIFFERENTIAL"))
	want := s.server.Content(s.database)
	s.server.Drop(s.database)
	s.server.Drop(second)
	s.restoreAs(t, increment, func(*client.RestoreRequest) {})
	require.Equal(t, want, s.server.Content(s.database))
	require.Equal(t, map[string][]string{"t": {"2"}}, s.server.Content(second))
	s.requireClean(t)
}
