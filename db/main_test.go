package db_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }

// rows reads one text column, past every layer of ours.
func rows(t *testing.T, url, sql string, args ...any) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	result, err := conn.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	values, err := pgx.CollectRows(result, pgx.RowTo[string])
	require.NoError(t, err)
	return values
}

// attempt runs a statement that may be refused.
func attempt(t *testing.T, url, sql string, args ...any) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), sql, args...)
	return err
}

const password = "correct horse battery staple"

func newDatasource(t *testing.T, d *db.DB, name string) db.Datasource {
	t.Helper()
	created, err := d.CreateDatasource(t.Context(), db.Datasource{
		Name: name, Type: domain.Postgres, Enabled: true, Tags: []string{"blue"},
		Config: domain.ConnectionConfig{Host: "db.example", Port: 5432, Database: "orders", Username: "app", Password: password, SSLMode: domain.SSLRequire},
	})
	require.NoError(t, err)
	return created
}

func newStorage(t *testing.T, d *db.DB, name string) db.StorageLocation {
	t.Helper()
	created, err := d.CreateStorageLocation(t.Context(), db.StorageLocation{
		Name: name, Type: domain.StorageLocal, Enabled: true, Config: domain.StorageConfig{Path: "/backups/" + name},
	})
	require.NoError(t, err)
	return created
}

func newJob(t *testing.T, d *db.DB, name string) db.BackupJob {
	t.Helper()
	created, err := d.CreateBackupJob(t.Context(), db.BackupJob{
		Name: name, DatasourceID: newDatasource(t, d, name).ID, StorageLocationID: newStorage(t, d, name).ID,
		Enabled: true, RetentionPolicy: domain.DefaultRetention(),
	})
	require.NoError(t, err)
	return created
}

func queue(d *db.DB, ctx context.Context, j db.BackupJob, operation domain.Operation) (db.Execution, error) {
	return d.CreateExecution(ctx, db.Execution{
		JobID: &j.ID, DatasourceID: &j.DatasourceID, StorageLocationID: &j.StorageLocationID,
		Metadata: domain.ExecutionMetadata{Operation: operation, Trigger: domain.TriggerManual},
	})
}

func newExecution(t *testing.T, d *db.DB, j db.BackupJob) db.Execution {
	t.Helper()
	e, err := queue(d, t.Context(), j, domain.OperationBackup)
	require.NoError(t, err)
	return e
}

func newRunning(t *testing.T, d *db.DB, name string) db.Execution {
	t.Helper()
	e := newExecution(t, d, newJob(t, d, name))
	e, err := d.BeginExecution(t.Context(), e.ID, "backup-"+e.ID, "run-1")
	require.NoError(t, err)
	return e
}

func finish(t *testing.T, d *db.DB, id string, status domain.ExecutionStatus) {
	t.Helper()
	require.NoError(t, d.FinishExecution(t.Context(), id, db.Finish{Status: status}))
}

// together runs fn n times at once and returns the errors.
func together(n int, fn func(i int) error) []error {
	errs := make([]error, n)
	done := make(chan struct{})
	for i := range n {
		go func() {
			defer func() { done <- struct{}{} }()
			defer func() {
				if r := recover(); r != nil {
					errs[i] = fmt.Errorf("panic: %v", r)
				}
			}()
			errs[i] = fn(i)
		}()
	}
	for range n {
		<-done
	}
	return errs
}
