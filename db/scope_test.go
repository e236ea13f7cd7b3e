package db_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// TestListsShowExactlyWhatASingleReadFinds compares the two places that decide on a scope, domain.Scope.Allows
// and scope_allows of the database, over scopes made at random.
func TestListsShowExactlyWhatASingleReadFinds(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	var datasources, storages, jobs, executions []string
	for i := range 4 {
		job := newJob(t, d, fmt.Sprintf("job %d", i))
		datasources, storages, jobs = append(datasources, job.DatasourceID), append(storages, job.StorageLocationID), append(jobs, job.ID)
		executions = append(executions, completed(t, d, job).ID, newExecution(t, d, job).ID)
		restore, err := d.CreateExecution(t.Context(), db.Execution{
			DatasourceID: &job.DatasourceID, Metadata: domain.ExecutionMetadata{Operation: domain.OperationRestore, Trigger: domain.TriggerManual},
		})
		require.NoError(t, err)
		executions = append(executions, restore.ID)
	}
	ids := map[domain.ScopeKind][]string{domain.ScopeDatasource: datasources, domain.ScopeStorageLocation: storages, domain.ScopeBackupJob: jobs}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	limits := func(kinds int) []domain.Limit {
		var out []domain.Limit
		for range kinds {
			kind := domain.ScopeKinds()[random.IntN(3)]
			selector := domain.Selector{IDs: map[string]bool{}}
			for _, id := range ids[kind] {
				if random.IntN(2) == 0 {
					selector.IDs[id] = true
				}
			}
			out = append(out, domain.Limit{Kind: kind, Selector: selector})
		}
		return out
	}
	runs, told := belonging(t, d, url, datasources, storages, jobs)
	for range 60 {
		scope := &domain.Scope{Deny: limits(random.IntN(2))}
		for range random.IntN(3) {
			scope.Any = append(scope.Any, limits(1+random.IntN(3)))
		}
		ctx := db.WithScope(t.Context(), scope)
		requireSame(t, ctx, datasources, func(id string) error { _, err := d.GetDatasource(ctx, id); return err }, func() (out []string, err error) {
			rows, _, err := d.ListDatasources(ctx, db.Page{})
			for _, row := range rows {
				out = append(out, row.ID)
			}
			return out, err
		})
		requireSame(t, ctx, storages, func(id string) error { _, err := d.GetStorageLocation(ctx, id); return err }, func() (out []string, err error) {
			rows, _, err := d.ListStorageLocations(ctx, db.Page{})
			for _, row := range rows {
				out = append(out, row.ID)
			}
			return out, err
		})
		requireSame(t, ctx, jobs, func(id string) error { _, err := d.GetBackupJob(ctx, id); return err }, func() (out []string, err error) {
			rows, _, err := d.ListBackupJobs(ctx, db.Page{})
			for _, row := range rows {
				out = append(out, row.ID)
			}
			return out, err
		})
		requireSame(t, ctx, executions, func(id string) error { _, err := d.GetExecution(ctx, id); return err }, func() (out []string, err error) {
			rows, _, err := d.ListExecutions(ctx, db.ExecutionFilter{}, db.Page{})
			for _, row := range rows {
				out = append(out, row.ID)
			}
			return out, err
		})
		days, err := d.BackupDays(ctx, time.Now().Add(-time.Hour))
		require.NoError(t, err)
		stored, err := d.StoredTotals(ctx)
		require.NoError(t, err)
		completed, _, err := d.ListExecutions(ctx, db.ExecutionFilter{Status: domain.Completed, Operation: domain.OperationBackup}, db.Page{})
		require.NoError(t, err)
		var ended, kept int64
		for _, day := range days {
			ended += day.Completed
		}
		for _, at := range stored {
			kept += at.Backups
		}
		require.Equal(t, []int64{int64(len(completed)), int64(len(completed))}, []int64{ended, kept}, "the sums are of what is listed")
		for kind, ids := range runs {
			requireSame(t, ctx, ids, func(id string) error { _, err := d.GetRun(ctx, kind, id); return err }, func() (out []string, err error) {
				rows, _, err := d.ListRuns(ctx, kind, db.RunFilter{}, db.Page{Limit: db.MaxPageSize})
				for _, row := range rows {
					out = append(out, row.ID)
				}
				return out, err
			})
		}
		requireSame(t, ctx, told, func(id string) error { _, err := d.GetNotification(ctx, id); return err }, func() (out []string, err error) {
			rows, _, err := d.ListNotifications(ctx, db.NotificationFilter{}, db.Page{Limit: db.MaxPageSize})
			for _, row := range rows {
				out = append(out, row.ID)
			}
			return out, err
		})
	}
}

// belonging makes runs of syncs and drills between these, recorded and not, of jobs that are there and gone, and notifications of
// everything.
func belonging(t *testing.T, d *db.DB, url string, datasources, storages, jobs []string) (runs map[db.RunKind][]string, told []string) {
	t.Helper()
	gone := uuid.NewString()
	for _, statement := range []string{
		`INSERT INTO database_sync_jobs (id, name, source_datasource_id, target_datasource_id, storage_location_id)
			SELECT gen_random_uuid(), 'sync ' || a || b || COALESCE(s::text, ''), a, b, s FROM unnest($1::uuid[]) a, unnest($1::uuid[]) b, (SELECT NULL::uuid AS s UNION ALL SELECT ($2::uuid[])[1]) l WHERE a <> b AND $3 <> '' AND $4::uuid[] IS NOT NULL`,
		`INSERT INTO database_sync_executions (id, sync_job_id, status, finished_at, overwrite_direction, metadata)
			SELECT gen_random_uuid(), CASE WHEN n = 3 THEN NULL ELSE j.id END, 'completed', now(), 'source_to_target',
				CASE WHEN n > 1 THEN jsonb_build_object('sync', jsonb_build_object('from_datasource_id', CASE WHEN n = 4 THEN $3 ELSE j.target_datasource_id::text END, 'into_datasource_id', j.source_datasource_id, 'storage_location_id', COALESCE(j.storage_location_id::text, ''))) ELSE '{}' END
			FROM database_sync_jobs j, generate_series(1, 4) n WHERE $1::uuid[] IS NOT NULL AND $2::uuid[] IS NOT NULL AND $4::uuid[] IS NOT NULL`,
		`INSERT INTO restore_drill_jobs (id, name, datasource_id, target_datasource_id, backup_job_id, max_backup_age_hours)
			SELECT gen_random_uuid(), 'drill ' || a || b || COALESCE(j::text, ''), a, b, j, 24 FROM unnest($1::uuid[]) a, unnest($1::uuid[]) b, (SELECT NULL::uuid AS j UNION ALL SELECT ($4::uuid[])[2]) l WHERE $2::uuid[] IS NOT NULL AND $3 <> ''`,
		`INSERT INTO restore_drill_executions (id, drill_job_id, backup_execution_id, status, finished_at)
			SELECT gen_random_uuid(), CASE WHEN n = 3 THEN NULL ELSE j.id END, CASE WHEN n = 2 THEN (SELECT e.id FROM backup_executions e WHERE e.datasource_id = j.target_datasource_id LIMIT 1) END, 'completed', now()
			FROM restore_drill_jobs j, generate_series(1, 3) n WHERE $1::uuid[] IS NOT NULL AND $2::uuid[] IS NOT NULL AND $3 <> '' AND $4::uuid[] IS NOT NULL`,
		`INSERT INTO notifications (id, type, severity, entity_type, entity_id, title, message)
			SELECT gen_random_uuid(), 'backup_failed', 'critical', kind::notification_entity_type, id, 'It failed', '' FROM (
				SELECT 'datasource' AS kind, unnest($1::uuid[]) AS id UNION ALL SELECT 'storage_location', unnest($2::uuid[]) UNION ALL SELECT 'backup_job', unnest($4::uuid[])
				UNION ALL SELECT 'database_sync_job', id FROM database_sync_jobs UNION ALL SELECT 'restore_drill_job', id FROM restore_drill_jobs
				UNION ALL SELECT unnest(ARRAY['datasource', 'storage_location', 'backup_job']), $3::uuid UNION ALL SELECT 'system', NULL) about`,
	} {
		dbtest.Execute(t, url, statement, datasources, storages, gone, jobs)
	}
	return map[db.RunKind][]string{
		db.RunSync: rows(t, url, "SELECT id::text FROM database_sync_executions"), db.RunDrill: rows(t, url, "SELECT id::text FROM restore_drill_executions"),
	}, rows(t, url, "SELECT id::text FROM notifications")
}

// requireSame checks that a list shows what get finds of all, and nothing else.
func requireSame(t *testing.T, ctx context.Context, all []string, get func(id string) error, list func() ([]string, error)) {
	t.Helper()
	require.NoError(t, ctx.Err())
	var found []string
	for _, id := range all {
		err := get(id)
		if err == nil {
			found = append(found, id)
			continue
		}
		require.ErrorIs(t, err, db.ErrNotFound)
	}
	listed, err := list()
	require.NoError(t, err)
	require.ElementsMatch(t, found, listed)
}

func TestAPageOfALimitedListIsFull(t *testing.T) {
	d := dbtest.New(t)
	var kept []string
	for i := range 9 {
		made := newDatasource(t, d, fmt.Sprintf("datasource %d", i))
		if i%3 == 0 {
			kept = append(kept, made.ID)
		}
	}
	selector := domain.Selector{IDs: map[string]bool{}}
	for _, id := range kept {
		selector.IDs[id] = true
	}
	ctx := db.WithScope(t.Context(), &domain.Scope{Any: [][]domain.Limit{{{Kind: domain.ScopeDatasource, Selector: selector}}}})
	first, cursor, err := d.ListDatasources(ctx, db.Page{Limit: 2})
	require.NoError(t, err)
	require.Len(t, first, 2)
	second, cursor, err := d.ListDatasources(ctx, db.Page{Limit: 2, Cursor: cursor})
	require.NoError(t, err)
	require.Len(t, second, 1)
	require.Empty(t, cursor)
	_, err = d.CreateDatasource(ctx, db.Datasource{Name: "new", Type: domain.Postgres})
	require.ErrorIs(t, err, db.ErrOutOfScope)
	all, _, err := d.ListDatasources(db.Unscoped(ctx), db.Page{})
	require.NoError(t, err)
	require.Len(t, all, 9)
}
