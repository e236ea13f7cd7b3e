package integration

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// syncTarget registers a second database of the test as a datasource.
func (s *setup) syncTarget(t *testing.T, database string) client.Datasource {
	t.Helper()
	config := s.datasource.ConnectionConfig
	config.Database, config.Password = database, s.password
	d, err := shared.owner.Datasources.Create(t.Context(), client.DatasourceDocument{
		Name: database, Type: domain.Postgres, Pool: s.pool, ConnectionConfig: config,
	})
	require.NoError(t, err)
	s.dropAfter(t, database)
	return d
}

// syncJob is a job that copies the test's database into target; change adapts it.
func (s *setup) syncJob(t *testing.T, target client.Datasource, change func(*client.SyncJobDocument)) client.SyncJob {
	t.Helper()
	document := client.SyncJobDocument{
		Name: target.Name + " sync", SourceDatasourceID: s.datasource.ID, TargetDatasourceID: target.ID, StorageLocationID: s.storage.ID,
		DropExisting: true, ConfirmationPhrase: client.ConfirmRestore(target.Name),
	}
	if change != nil {
		change(&document)
	}
	job, err := shared.owner.SyncJobs().Create(t.Context(), document)
	require.NoError(t, err)
	return job
}

func startSync(t *testing.T, job client.SyncJob) client.JobRun {
	t.Helper()
	run, err := shared.owner.SyncRuns().Start(t.Context(), job.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Queued, run.Status)
	return run
}

func waitSync(t *testing.T, run client.JobRun) client.JobRun {
	t.Helper()
	ended, err := shared.owner.SyncRuns().Wait(t.Context(), run.ID)
	require.NoError(t, err)
	return ended
}

const masking = "update customers set name = 'masked'"

func TestASyncNeverShowsHalfADatabaseNorAnUnmaskedRow(t *testing.T) {
	for _, mode := range []string{"by a backup", "directly"} {
		t.Run(mode, func(t *testing.T) {
			s := newSetup(t, withRows(20_000))
			target := s.syncTarget(t, s.database+"_copy")
			s.createDatabase(t, target.Name)
			s.exec(t, target.Name, "create table customers (id int, name text); insert into customers values (0, 'masked'); create table orders (id int)")
			job := s.syncJob(t, target, func(d *client.SyncJobDocument) {
				d.SyncOptions.PostRestoreSQL = []string{masking, "alter table customers add column masked boolean default true"}
				if mode == "directly" {
					d.StorageLocationID = ""
				}
			})
			ctx, stop := context.WithCancel(t.Context())
			var everybody sync.WaitGroup
			everybody.Go(func() { s.writeOrders(ctx) })
			watch := watcher{url: shared.postgres.DatabaseURL(target.Name)}
			everybody.Go(func() { watch.look(ctx) })

			run := waitSync(t, startSync(t, job))
			require.Equal(t, domain.Completed, run.Status, run.ErrorMessage)
			stop()
			everybody.Wait()
			require.Empty(t, watch.bad, "a reader saw what it must not see")
			require.Positive(t, watch.looks.Load())
			require.Equal(t, "true 2001", s.scalar(t, target.Name, "select bool_and(name = 'masked' and masked) || ' ' || count(*) from customers"))
			require.NotEqual(t, "0", s.scalar(t, s.database, "select count(*)::text from customers where name <> 'masked'"), "the source was masked")
			s.requireLinked(t, run, mode == "directly")
		})
	}
}

// requireLinked looks at the executions that a sync was made of.
func (s *setup) requireLinked(t *testing.T, run client.JobRun, direct bool) {
	t.Helper()
	require.NotNil(t, run.RestoreExecutionID)
	restore, err := shared.owner.GetExecution(t.Context(), *run.RestoreExecutionID)
	require.NoError(t, err)
	require.Equal(t, domain.TriggerSync, restore.Metadata.Trigger)
	require.Equal(t, domain.Completed, restore.Status)
	require.Equal(t, 2, restore.Metadata.RestoreReport.Tables)
	require.Positive(t, restore.Metadata.RestoreReport.Bytes)
	requireNoLeftovers(t, restore)
	require.NotEmpty(t, run.Metadata.ExecutionLogs)
	if direct {
		require.Nil(t, run.BackupExecutionID)
		require.NoDirExists(t, s.storagePath, "a direct sync stored something")
		return
	}
	require.NotNil(t, run.BackupExecutionID)
	backup, err := shared.owner.GetExecution(t.Context(), *run.BackupExecutionID)
	require.NoError(t, err)
	require.Equal(t, domain.TriggerSync, backup.Metadata.Trigger)
	require.Equal(t, domain.Completed, backup.Status)
}

// writeOrders writes to the source until ctx ends.
func (s *setup) writeOrders(ctx context.Context) {
	conn, err := pgx.Connect(ctx, shared.postgres.DatabaseURL(s.database))
	if err != nil {
		return
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for ctx.Err() == nil {
		_, _ = conn.Exec(ctx, "insert into orders (customer, total) values (1, 1)")
	}
}

// watcher reads the target of a sync all the time, as its users do: they are thrown out once and connect again.
type watcher struct {
	url   string
	looks atomic.Int64
	bad   []string
}

func (w *watcher) look(ctx context.Context) {
	for ctx.Err() == nil {
		conn, err := pgx.Connect(ctx, w.url)
		if err != nil {
			continue // in the moment of the swap
		}
		for {
			var unmasked, customers int
			err := conn.QueryRow(ctx, "select count(*) filter (where name <> 'masked'), count(*) from customers").Scan(&unmasked, &customers)
			if err != nil {
				if ctx.Err() == nil && !strings.Contains(err.Error(), "57P01") && !strings.Contains(err.Error(), "unexpected EOF") && !conn.IsClosed() {
					w.bad = append(w.bad, err.Error())
				}
				break
			}
			w.looks.Add(1)
			if unmasked > 0 || (customers != 1 && customers != 2001) {
				w.bad = append(w.bad, fmt.Sprintf("%d customers, %d unmasked", customers, unmasked))
			}
		}
		_ = conn.Close(context.Background())
	}
}

func TestASyncThatFailsLeavesTheTargetAndIsTriedAgainFromItsBackup(t *testing.T) {
	s := newSetup(t, withRows(500))
	target := s.syncTarget(t, s.database+"_copy")
	s.createDatabase(t, target.Name)
	s.exec(t, target.Name, "create table keep (n int); insert into keep values (42)")
	job := s.syncJob(t, target, func(d *client.SyncJobDocument) { d.SyncOptions.PostRestoreSQL = []string{"update nothing set a = 1"} })

	failed := waitSync(t, startSync(t, job))
	require.Equal(t, domain.Failed, failed.Status)
	require.Contains(t, failed.ErrorMessage, "post_restore_sql[0]")
	require.Contains(t, failed.ErrorMessage, "nothing")
	require.Equal(t, "42", s.scalar(t, target.Name, "select n::text from keep"))
	require.Equal(t, 1, s.notifications(t, job.ID, domain.NotifySyncFailed))

	_, err := shared.owner.SyncJobs().Update(t.Context(), job.ID, map[string]any{"sync_options": map[string]any{"post_restore_sql": []string{masking}}})
	require.NoError(t, err)
	again, err := shared.owner.SyncRuns().Retry(t.Context(), failed.ID)
	require.NoError(t, err)
	ended := waitSync(t, again)
	require.Equal(t, domain.Completed, ended.Status, ended.ErrorMessage)
	require.Equal(t, failed.BackupExecutionID, ended.BackupExecutionID, "the finished half was repeated")
	require.Equal(t, failed.ID, ended.Metadata.RetryOf)
	require.Equal(t, 1, s.notifications(t, job.ID, domain.NotifySyncRecovered))
	require.Equal(t, "0", s.scalar(t, target.Name, "select count(*)::text from customers where name <> 'masked'"))
}

// notifications counts those of a type about a job.
func (s *setup) notifications(t *testing.T, jobID string, kind domain.NotificationType) (count int) {
	t.Helper()
	err := shared.admin(t, "dataguardian").QueryRow(t.Context(),
		"select count(*) from notifications where entity_id = $1 and type = $2::text::notification_type", jobID, string(kind)).Scan(&count)
	require.NoError(t, err)
	return count
}

func TestASyncKeepsTheLastBackupsInBetweenOnly(t *testing.T) {
	s := newSetup(t, withRows(50))
	target := s.syncTarget(t, s.database+"_copy")
	job := s.syncJob(t, target, nil)
	first := waitSync(t, startSync(t, job))
	require.Equal(t, domain.Completed, first.Status, first.ErrorMessage)
	second := waitSync(t, startSync(t, job))
	require.Equal(t, domain.Completed, second.Status, second.ErrorMessage)
	require.Eventually(t, func() bool {
		_, err := shared.owner.GetExecution(t.Context(), *first.BackupExecutionID)
		return client.Status(err) == 404
	}, patience, 50*time.Millisecond, "the first backup in between was not deleted")
	kept, err := shared.owner.GetExecution(t.Context(), *second.BackupExecutionID)
	require.NoError(t, err)
	require.Equal(t, domain.Completed, kept.Status)
	s.requireSame(t, s.database, target.Name)
}

func TestAKilledWorkerCostsASyncNoHalfThatIsFinished(t *testing.T) {
	for _, half := range []struct {
		name, boundary string
		direct         bool
	}{
		{"in the backup", "dump.manifest_written", false},
		{"in the restore", "restore.staged", false},
		{"in a direct copy", "sync.sql_ran", true},
	} {
		t.Run(half.name, func(t *testing.T) {
			pool := "sync-" + strings.ReplaceAll(half.name, " ", "-")
			s := newSetup(t, withRows(2_000), withPool(pool))
			target := s.syncTarget(t, s.database+"_copy")
			job := s.syncJob(t, target, func(d *client.SyncJobDocument) {
				d.SyncOptions.PostRestoreSQL = []string{"update customers set name = name || '!'"} // twice would show
				if half.direct {
					d.StorageLocationID = ""
				}
			})
			dying := shared.spawnWorker(t, pool, half.boundary)
			run := startSync(t, job)
			dying.died(t)
			shared.spawnWorker(t, pool)
			ended := waitSync(t, run)
			require.Equal(t, domain.Completed, ended.Status, ended.ErrorMessage)
			require.Equal(t, "true 201", s.scalar(t, target.Name, "select bool_and(name like 'customer %!' and name not like '%!!') || ' ' || count(*) from customers"))
			if half.boundary == "restore.staged" {
				backup, err := shared.owner.GetExecution(t.Context(), *ended.BackupExecutionID)
				require.NoError(t, err)
				require.Equal(t, int32(1), s.attempts(t, backup, "Dump"), "the finished half was repeated")
			}
		})
	}
}

func TestACancelledSyncCancelsItsHalfAndLeavesTheTarget(t *testing.T) {
	s := newSetup(t, withNoise(60))
	target := s.syncTarget(t, s.database+"_copy")
	s.createDatabase(t, target.Name)
	s.exec(t, target.Name, "create table keep (n int); insert into keep values (42)")
	job := s.syncJob(t, target, nil)
	run := startSync(t, job)
	dump := freezeDump(t, s.database, nil)
	_, err := shared.owner.SyncRuns().Cancel(t.Context(), run.ID)
	require.NoError(t, err)
	ended := waitSync(t, run)
	require.Equal(t, domain.Cancelled, ended.Status, ended.ErrorMessage)
	require.False(t, alive(dump), "pg_dump is still there")
	backup, err := shared.owner.GetExecution(t.Context(), *ended.BackupExecutionID)
	require.NoError(t, err)
	require.Equal(t, domain.Cancelled, backup.Status)
	require.Equal(t, "42", s.scalar(t, target.Name, "select n::text from keep"))
	require.Empty(t, s.objects(t))
}

func TestASyncThatCanOnlyDoHarmIsRefused(t *testing.T) {
	s := newSetup(t)
	target := s.syncTarget(t, s.database+"_copy")
	twin := s.syncTarget(t, s.database+"_twin")
	ctx := t.Context()
	refused := func(change func(*client.SyncJobDocument), field string) {
		t.Helper()
		d := client.SyncJobDocument{
			Name: "refused " + s.database, SourceDatasourceID: s.datasource.ID, TargetDatasourceID: target.ID, StorageLocationID: s.storage.ID,
			ConfirmationPhrase: client.ConfirmRestore(target.Name),
		}
		change(&d)
		_, err := shared.owner.SyncJobs().Create(ctx, d)
		require.Equal(t, 422, client.Status(err), "%v", err)
		require.ErrorContains(t, err, field)
	}
	refused(func(d *client.SyncJobDocument) { d.TargetDatasourceID = d.SourceDatasourceID }, "target_datasource_id: is the source")
	refused(func(d *client.SyncJobDocument) { d.ConfirmationPhrase = "yes" }, "confirmation_phrase")
	refused(func(d *client.SyncJobDocument) { d.TargetDatasourceID = "0190f2d2-0000-7000-8000-000000000000" }, "there is no datasource")
	alias := s.datasource.ConnectionConfig
	alias.Host, alias.Password = "LOCALHOST.", s.password
	same, err := shared.owner.Datasources.Create(ctx, client.DatasourceDocument{Name: s.database + " alias", Type: domain.Postgres, ConnectionConfig: alias})
	require.NoError(t, err)
	refused(func(d *client.SyncJobDocument) {
		d.TargetDatasourceID, d.ConfirmationPhrase = same.ID, client.ConfirmRestore(same.Name)
	}, "address of the source")
	other, err := shared.owner.Datasources.Create(ctx, client.DatasourceDocument{
		Name: s.database + " file", Type: domain.SQLite, ConnectionConfig: domain.ConnectionConfig{FilePath: "/tmp/x.db"},
	})
	require.NoError(t, err)
	refused(func(d *client.SyncJobDocument) {
		d.TargetDatasourceID, d.ConfirmationPhrase = other.ID, client.ConfirmRestore(other.Name)
	}, "is not copied into a sqlite one")

	s.syncJob(t, target, nil) // source -> copy
	onward := client.SyncJobDocument{
		Name: s.database + " onward", SourceDatasourceID: target.ID, TargetDatasourceID: twin.ID, StorageLocationID: s.storage.ID,
		ConfirmationPhrase: client.ConfirmRestore(twin.Name),
	}
	_, err = shared.owner.SyncJobs().Create(ctx, onward)
	require.NoError(t, err)
	refused(func(d *client.SyncJobDocument) {
		d.SourceDatasourceID, d.TargetDatasourceID, d.ConfirmationPhrase = twin.ID, s.datasource.ID, client.ConfirmRestore(s.datasource.Name)
	}, "circle")

	empty := waitSync(t, startSync(t, s.firstJob(t, target)))
	require.Equal(t, domain.Failed, empty.Status)
	require.Contains(t, empty.ErrorMessage, "the source is empty")
	require.False(t, shared.hasDatabase(t, target.Name))
}

// firstJob finds the job into a datasource.
func (s *setup) firstJob(t *testing.T, target client.Datasource) client.SyncJob {
	t.Helper()
	jobs, err := shared.owner.SyncJobs().List(t.Context())
	require.NoError(t, err)
	for _, job := range jobs {
		if job.TargetDatasourceID == target.ID {
			return job
		}
	}
	require.Fail(t, "there is no such job")
	return client.SyncJob{}
}
