package db_test

import (
	"database/sql"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // database/sql's driver, as goose needs it
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/migrations"
)

func migrator(t *testing.T, url string) *goose.Provider {
	t.Helper()
	handle, err := sql.Open("pgx", url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = handle.Close() })
	provider, err := goose.NewProvider(goose.DialectPostgres, handle, migrations.Files)
	require.NoError(t, err)
	return provider
}

// Chunk secrets were kept with the execution that opened the generation, before schema 10. They move,
// and go back, with their rows; one whose datasource is gone is of no use to anybody.
func TestChunkSecretsMoveToTheirGeneration(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	kept, orphan := newRunning(t, d, "orders"), newRunning(t, d, "gone")
	secret, err := d.ChunkSecret(t.Context(), *kept.DatasourceID, kept.Generation)
	require.NoError(t, err)
	_, err = d.ChunkSecret(t.Context(), *orphan.DatasourceID, orphan.Generation)
	require.NoError(t, err)
	finish(t, d, kept.ID, domain.Completed)

	_, err = migrator(t, url).DownTo(t.Context(), 9)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{kept.ID, orphan.ID}, rows(t, url, "SELECT execution_id::text FROM encryption_keys WHERE purpose = 'chunk_secret'"))
	dbtest.Execute(t, url, "UPDATE backup_executions SET datasource_id = NULL WHERE id = $1", orphan.ID)

	require.NoError(t, db.Migrate(t.Context(), url))
	require.Equal(t, []string{kept.Generation}, rows(t, url, "SELECT generation FROM encryption_keys WHERE purpose = 'chunk_secret'"))
	again, err := d.ChunkSecret(t.Context(), *kept.DatasourceID, kept.Generation)
	require.NoError(t, err)
	require.Equal(t, secret, again)
	e, err := d.GetExecution(t.Context(), kept.ID)
	require.NoError(t, err)
	require.Zero(t, e.IncrementNumber)
}

// What an earlier version kept of a hook's address beside executions is taken away by the migration.
func TestAddressesOfHooksAreTakenFromOldExecutions(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	execution, without := newRunning(t, d, "job"), newRunning(t, d, "without")
	dbtest.Execute(t, url, `UPDATE backup_executions SET metadata = jsonb_set(metadata, '{options}', '{"hooks": {
		"before": [{"url": "https://h.example/secret-of-one", "fail_run": true}, {"sql": "SELECT 1"}], "after_success": null, "after_failure": []}}') WHERE id = $1`, execution.ID)
	untouched, err := d.GetExecution(t.Context(), without.ID)
	require.NoError(t, err)
	_, err = migrator(t, url).DownTo(t.Context(), 48)
	require.NoError(t, err)
	require.NoError(t, db.Migrate(t.Context(), url))

	read, err := d.GetExecution(t.Context(), execution.ID)
	require.NoError(t, err)
	require.Equal(t, []domain.Hook{{URL: failure.Mask, FailRun: true}, {SQL: "SELECT 1"}}, read.Metadata.Options.Hooks.Before)
	require.NotContains(t, everything(t, url), "secret-of-")
	again, err := d.GetExecution(t.Context(), without.ID)
	require.NoError(t, err)
	require.Equal(t, untouched, again)
}
