package db_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
)

const trueTotals = `SELECT format('%s %s %s %s %s', storage_location_id, COALESCE(datasource_id, '00000000-0000-0000-0000-000000000000'),
		COALESCE(job_id, '00000000-0000-0000-0000-000000000000'), count(*), sum(compressed_size_bytes))
	FROM backup_executions WHERE operation = 'backup' AND status = 'completed' AND deleting_at IS NULL AND storage_location_id IS NOT NULL
	GROUP BY storage_location_id, datasource_id, job_id ORDER BY 1`

const keptTotals = `SELECT format('%s %s %s %s %s', storage_location_id, datasource_id, job_id, sum(backups), sum(bytes))
	FROM stored_totals GROUP BY storage_location_id, datasource_id, job_id HAVING sum(backups) <> 0 OR sum(bytes) <> 0 ORDER BY 1`

// Whatever is done to executions, by many at once, committed or taken back, and whatever of their resources goes.
func TestKeptTotalsAreTheSumsOfWhatIsStored(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	var jobs []db.BackupJob
	for i := range 3 {
		jobs = append(jobs, newJob(t, d, fmt.Sprintf("job %d", i)))
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	taken := errors.New("taken back")
	for _, err := range together(8, func(worker int) error {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(ctx) }()
		random := rand.New(rand.NewPCG(seed, uint64(worker))) //nolint:gosec // a worker's number
		statements := []string{
			`INSERT INTO backup_executions (id, job_id, datasource_id, storage_location_id, status, finished_at, compressed_size_bytes, generation, metadata)
				SELECT gen_random_uuid(), $1, $2, $3, (ARRAY['failed', 'completed'])[1 + n % 2]::execution_status, now(), n * 10, gen_random_uuid()::text,
				       jsonb_build_object('operation', (ARRAY['backup', 'restore'])[1 + n % 5 / 4]) FROM generate_series(1, 5) n`,
			`UPDATE backup_executions SET status = 'completed', finished_at = now(), compressed_size_bytes = compressed_size_bytes + 7 WHERE job_id = $1 AND status = 'failed'`,
			`UPDATE backup_executions SET compressed_size_bytes = compressed_size_bytes + 1 WHERE id IN (SELECT id FROM backup_executions WHERE job_id = $1 LIMIT 3)`,
			`UPDATE backup_executions SET deleting_at = CASE WHEN deleting_at IS NULL THEN now() END WHERE id IN (SELECT id FROM backup_executions WHERE job_id = $1 ORDER BY id LIMIT 4)`,
			`UPDATE backup_executions SET progress = '{"bytes": 1}', storage_location_id = (SELECT storage_location_id FROM backup_jobs WHERE id = $1) WHERE id IN (SELECT id FROM backup_executions ORDER BY id DESC LIMIT 2)`,
			`DELETE FROM backup_executions WHERE id IN (SELECT id FROM backup_executions WHERE job_id = $1 LIMIT 2)`,
		}
		for range 60 {
			job := jobs[random.IntN(len(jobs))]
			args := []any{job.ID, job.DatasourceID, jobs[random.IntN(len(jobs))].StorageLocationID}
			statement := statements[random.IntN(len(statements))]
			keep := random.IntN(4) > 0
			err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, statement, args[:strings.Count(statement, "$")]...); err != nil || keep {
					return err
				}
				return taken
			})
			var refused *pgconn.PgError
			isDeadlock := errors.As(err, &refused) && refused.Code == "40P01" // of two updates of the same executions
			if err != nil && !errors.Is(err, taken) && !isDeadlock {
				return err
			}
		}
		return nil
	}) {
		require.NoError(t, err)
	}
	require.NotEmpty(t, rows(t, url, trueTotals))
	require.Equal(t, rows(t, url, trueTotals), rows(t, url, keptTotals))

	dbtest.Execute(t, url, "UPDATE backup_executions SET job_id = NULL WHERE job_id = $1", jobs[0].ID)
	require.NoError(t, d.DeleteBackupJob(t.Context(), jobs[1].ID))
	require.Equal(t, rows(t, url, trueTotals), rows(t, url, keptTotals))
	for _, of := range []string{"datasource", "storage_location"} { // their ids become NULL, of many executions at once
		dbtest.Execute(t, url, "DELETE FROM backup_jobs")
		dbtest.Execute(t, url, fmt.Sprintf("DELETE FROM %ss WHERE id = (SELECT %[1]s_id FROM stored_totals WHERE %[1]s_id IN (SELECT id FROM %[1]ss) ORDER BY backups DESC LIMIT 1)", of))
		require.Equal(t, rows(t, url, trueTotals), rows(t, url, keptTotals))
	}
	dbtest.Execute(t, url, "UPDATE stored_totals SET bytes = 0")
	dbtest.Execute(t, url, "SELECT recount_stored()")
	require.NotEmpty(t, rows(t, url, trueTotals))
	require.Equal(t, rows(t, url, trueTotals), rows(t, url, keptTotals))
	require.LessOrEqual(t, dbtest.Count(t, url, "SELECT count(*) FROM stored_totals"), 60)
	dbtest.Execute(t, url, "DELETE FROM backup_executions")
	require.Empty(t, rows(t, url, keptTotals))
}
