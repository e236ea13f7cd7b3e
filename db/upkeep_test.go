package db_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestPruningRemovesWhatHasExpiredOrIsOldAndNothingElse(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	datasource, err := d.CreateDatasource(t.Context(), db.Datasource{Name: "a", Type: domain.Postgres, Enabled: true})
	require.NoError(t, err)
	disk := newStorage(t, d, "disk")
	dbtest.Execute(t, url, `INSERT INTO storage_health_checks (id, storage_location_id, status, location_status, checked_at)
		SELECT gen_random_uuid(), $1, 'ok', 'healthy', now() - n * interval '1 day' FROM generate_series(1, 35) n`, disk.ID)
	user := uuid.NewString()
	dbtest.Execute(t, url, `INSERT INTO users (id, email) VALUES ($1, 'a@example.com')`, user)
	dbtest.Execute(t, url, `INSERT INTO health_checks (id, datasource_id, status, checked_at)
		SELECT gen_random_uuid(), $1, 'ok', now() - n * interval '1 day' FROM generate_series(1, 40) n`, datasource.ID)
	dbtest.Execute(t, url, `INSERT INTO notifications (id, type, severity, entity_type, title, created_at)
		SELECT gen_random_uuid(), 'cleanup_completed', 'info', 'system', 'x', now() - n * interval '10 days' FROM generate_series(1, 12) n`)
	dbtest.Execute(t, url, `INSERT INTO api_tokens (id, user_id, name, token_hash, permissions, expires_at)
		SELECT gen_random_uuid(), $1, 'token ' || n, sha256(n::text::bytea), '{"dashboard.read"}', now() - n * interval '20 days' FROM generate_series(0, 2) n`, user)
	dbtest.Execute(t, url, `INSERT INTO auth_sessions (id, user_id, token_hash, ip, user_agent, expires_at)
		SELECT gen_random_uuid(), $1, sha256(n::text::bytea), '', '', now() + (n - 2) * interval '1 hour' FROM generate_series(0, 4) n`, user)
	removed, err := d.Prune(t.Context(), domain.DefaultPrune(), time.Now().Add(time.Minute))
	require.NoError(t, err)
	require.Equal(t, map[string]int64{
		"health_checks": 11, "notifications": 4, "api_tokens": 1,
		"auth_sessions": 3, "oidc_handoffs": 0, "idempotency_keys": 0, "storage_health_checks": 6,
	}, removed)
	for table, left := range map[string]int{"auth_sessions": 2, "storage_health_checks": 29, "health_checks": 29, "api_tokens": 2, "notifications": 8} {
		require.Equal(t, left, dbtest.Count(t, url, `SELECT count(*) FROM `+table), table)
	}
}

func TestOldExecutionsGoWhenASettingSaysSoButNoBackup(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	job := newJob(t, d, "orders")
	good := completed(t, d, job)
	failed, leftovers, restore, young := newExecution(t, d, job), "", "", ""
	finish(t, d, failed.ID, domain.Failed)
	for into, status := range map[*string]domain.ExecutionStatus{&leftovers: domain.Failed, &restore: domain.Completed, &young: domain.Cancelled} {
		e := db.Execution{DatasourceID: &job.DatasourceID, StorageLocationID: &job.StorageLocationID, Metadata: domain.ExecutionMetadata{
			Operation: domain.OperationRestore, Trigger: domain.TriggerManual, WorkflowID: "w",
		}}
		if into == &leftovers {
			e.Metadata.Operation = domain.OperationBackup
		}
		row, err := d.CreateExecution(t.Context(), e)
		require.NoError(t, err)
		*into = row.ID
		finish(t, d, row.ID, status)
	}
	dbtest.Execute(t, url, `INSERT INTO backup_chunks (execution_id, chunk_id, generation, plain_bytes, stored_bytes, checksum)
		VALUES ($1, sha256('c'), 'g', 1, 1, sha256('c'))`, leftovers)
	dbtest.Execute(t, url, `UPDATE backup_executions SET created_at = created_at - interval '40 days', finished_at = finished_at - interval '40 days' WHERE id <> $1`, young)
	runs := map[db.RunKind]string{}
	target := newDatasource(t, d, "copy")
	sync, err := d.CreateSyncJob(t.Context(), db.SyncJob{
		Name: "sync", SourceDatasourceID: job.DatasourceID, TargetDatasourceID: target.ID, Enabled: true, OverwriteDirection: domain.SourceToTarget,
	})
	require.NoError(t, err)
	drill, err := d.CreateDrillJob(t.Context(), db.DrillJob{Name: "drill", DatasourceID: job.DatasourceID, TargetDatasourceID: target.ID, MaxBackupAgeHours: 1})
	require.NoError(t, err)
	ended := func(kind db.RunKind, jobID, table string, backup *string) string {
		run, err := d.CreateRun(t.Context(), kind, db.Run{JobID: &jobID, BackupExecutionID: backup})
		require.NoError(t, err)
		_, err = d.FinishRun(t.Context(), kind, run.ID, db.Finish{Status: domain.Completed}, 0, "")
		require.NoError(t, err)
		dbtest.Execute(t, url, `UPDATE `+table+` SET created_at = created_at - interval '40 days', finished_at = finished_at - interval '40 days' WHERE id = $1`, run.ID)
		return run.ID
	}
	kept := ended(db.RunSync, sync.ID, "database_sync_executions", &good.ID)
	runs[db.RunSync] = ended(db.RunSync, sync.ID, "database_sync_executions", &failed.ID)
	runs[db.RunDrill] = ended(db.RunDrill, drill.ID, "restore_drill_executions", &good.ID)

	settings := domain.DefaultPrune()
	removed, err := d.Prune(t.Context(), settings, time.Now())
	require.NoError(t, err)
	require.Zero(t, removed["backup_executions"], "history stays, unless somebody wants it to go")
	settings.ExecutionsDays = 30
	removed, err = d.Prune(t.Context(), settings, time.Now())
	require.NoError(t, err)
	require.Equal(t, []int64{2, 1, 1}, []int64{removed["backup_executions"], removed["database_sync_executions"], removed["restore_drill_executions"]})
	for _, id := range []string{failed.ID, restore} {
		_, err := d.GetExecution(t.Context(), id)
		require.ErrorIs(t, err, db.ErrNotFound)
	}
	for _, id := range []string{good.ID, leftovers, young} {
		_, err := d.GetExecution(t.Context(), id)
		require.NoError(t, err, "a backup, what left something, and what is young")
	}
	for kind, id := range runs {
		_, err := d.GetRun(t.Context(), kind, id)
		require.ErrorIs(t, err, db.ErrNotFound)
	}
	_, err = d.GetRun(t.Context(), db.RunSync, kept)
	require.NoError(t, err, "by it the job knows its backup")
}
