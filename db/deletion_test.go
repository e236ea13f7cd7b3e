package db_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// completed is a completed backup of a job.
func completed(t *testing.T, d *db.DB, j db.BackupJob) db.Execution {
	t.Helper()
	e := newExecution(t, d, j)
	finish(t, d, e.ID, domain.Completed)
	return e
}

// buildsOn makes child an increment of parent, as the API's transaction does.
func buildsOn(t *testing.T, url, child, parent string) {
	t.Helper()
	dbtest.Execute(t, url, `UPDATE backup_executions SET parent_execution_id = $2 WHERE id = $1`, child, parent)
}

func requireHeld(t *testing.T, err error, holder string) {
	t.Helper()
	var held *db.InUseError
	require.ErrorAs(t, err, &held)
	require.Contains(t, strings.Join(held.Holders, "; "), holder)
}

func TestADeletionIsRefusedWhileSomethingHoldsTheBackup(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	ctx := t.Context()
	job := newJob(t, d, "nightly")
	backup := newExecution(t, d, job)
	requireHeld(t, d.MarkDeleting(ctx, backup.ID), "it is queued")
	_, err := d.BeginExecution(ctx, backup.ID, "w", "r")
	require.NoError(t, err)
	requireHeld(t, d.MarkDeleting(ctx, backup.ID), "it is running")
	finish(t, d, backup.ID, domain.Completed)

	require.NoError(t, d.SetPinned(ctx, backup.ID, true))
	requireHeld(t, d.MarkDeleting(ctx, backup.ID), "it is pinned")
	require.NoError(t, d.SetPinned(ctx, backup.ID, false))

	child := newExecution(t, d, job)
	buildsOn(t, url, child.ID, backup.ID)
	requireHeld(t, d.MarkDeleting(ctx, backup.ID), "queued backup "+child.ID+" builds on it")
	finish(t, d, child.ID, domain.Completed)

	restore, err := d.CreateExecution(ctx, db.Execution{
		DatasourceID: &job.DatasourceID, StorageLocationID: &job.StorageLocationID, Metadata: domain.ExecutionMetadata{
			Operation: domain.OperationRestore, Trigger: domain.TriggerManual, Restore: &domain.RestoreOptions{SourceExecutionID: backup.ID},
		},
	})
	require.NoError(t, err)
	requireHeld(t, d.MarkDeleting(ctx, backup.ID), "queued restore "+restore.ID+" reads it")
	finish(t, d, restore.ID, domain.Failed)

	marked, err := d.GetExecution(ctx, backup.ID)
	require.NoError(t, err)
	require.Nil(t, marked.DeletingAt, "a refused deletion marks nothing")
	require.NoError(t, d.MarkDeleting(ctx, backup.ID), "a completed backup that built on it does not hold it")
	marked, err = d.GetExecution(ctx, backup.ID)
	require.NoError(t, err)
	require.NotNil(t, marked.DeletingAt)
	require.NoError(t, d.MarkDeleting(ctx, backup.ID), "marking again is no error")
	require.ErrorIs(t, d.HoldBackup(ctx, backup.ID), db.ErrDeleting)
	require.ErrorIs(t, d.SetPinned(ctx, backup.ID, true), db.ErrDeleting)
	require.ErrorIs(t, d.MarkDeleting(ctx, "00000000-0000-7000-8000-000000000000"), db.ErrNotFound)
}

// The mark and the claim of a child meet in two transactions, each first in turn: never both.
func TestAClaimAndAMarkNeverBothSucceed(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	job := newJob(t, d, "nightly")

	t.Run("the claim is first", func(t *testing.T) {
		parent := completed(t, d, job)
		marked := make(chan error, 1)
		var child db.Execution
		err := d.InTx(t.Context(), func(q *db.Queries) (err error) {
			require.NoError(t, q.HoldBackup(t.Context(), parent.ID))
			go func() { marked <- d.MarkDeleting(t.Context(), parent.ID) }()
			awaitLock(t, url)
			child, err = q.CreateExecution(t.Context(), db.Execution{
				JobID: &job.ID, DatasourceID: &job.DatasourceID, StorageLocationID: &job.StorageLocationID,
				Metadata: domain.ExecutionMetadata{Operation: domain.OperationRestore, Restore: &domain.RestoreOptions{SourceExecutionID: parent.ID}},
			})
			return err
		})
		require.NoError(t, err)
		requireHeld(t, <-marked, child.ID)
	})
	t.Run("the mark is first", func(t *testing.T) {
		parent := completed(t, d, job)
		held := make(chan error, 1)
		err := d.InTx(t.Context(), func(q *db.Queries) error {
			require.NoError(t, q.MarkDeleting(t.Context(), parent.ID))
			go func() { held <- d.HoldBackup(t.Context(), parent.ID) }()
			awaitLock(t, url)
			return nil
		})
		require.NoError(t, err)
		require.ErrorIs(t, <-held, db.ErrDeleting)
	})
	t.Run("the mark is first and is undone", func(t *testing.T) {
		parent := completed(t, d, job)
		held := make(chan error, 1)
		undone := errors.New("undone")
		err := d.InTx(t.Context(), func(q *db.Queries) error {
			require.NoError(t, q.MarkDeleting(t.Context(), parent.ID))
			go func() { held <- d.HoldBackup(t.Context(), parent.ID) }()
			awaitLock(t, url)
			return undone
		})
		require.ErrorIs(t, err, undone)
		require.NoError(t, <-held)
	})
}

// awaitLock returns when some session of the database waits for a lock.
func awaitLock(t *testing.T, url string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return rows(t, url, `SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)[0] != "0"
	}, 2*time.Minute, 5*time.Millisecond)
}

func TestOnlyObjectsThatNobodyElseNeedsAreRemovable(t *testing.T) {
	d := dbtest.New(t)
	ctx := t.Context()
	job := newJob(t, d, "nightly")
	add := func(e db.Execution, from, to int) {
		t.Helper()
		require.NoError(t, d.AddChunks(ctx, e.ID, numbered(from, to)))
	}
	backup := completed(t, d, job)
	add(backup, 0, 100)
	kept := completed(t, d, job)
	add(kept, 0, 10)
	running := newExecution(t, d, job)
	add(running, 20, 30)
	failed := newExecution(t, d, newJob(t, d, "failing"))
	add(failed, 40, 50)
	finish(t, d, failed.ID, domain.Failed)
	elsewhere := completed(t, d, newJob(t, d, "on another location"))
	add(elsewhere, 60, 70)
	otherFolder := numbered(80, 90)
	for i := range otherFolder {
		otherFolder[i].Generation = "aabbccdd-11223344"
	}
	require.NoError(t, d.AddChunks(ctx, kept.ID, otherFolder))

	removable := func(id string) (needed []int) {
		t.Helper()
		var after []byte
		for n := 0; ; {
			page, err := d.PageRemovable(ctx, id, job.StorageLocationID, after, 7)
			require.NoError(t, err)
			for _, c := range page {
				if c.Referenced {
					needed = append(needed, n)
				}
				n++
			}
			if len(page) < 7 {
				require.Equal(t, 100, n, "every chunk is paged once")
				return needed
			}
			after = page[len(page)-1].ID[:]
		}
	}
	require.Equal(t, span(0, 10, 20, 30), removable(backup.ID), "kept and running ones need theirs; failed ones and other places do not")
	require.NoError(t, d.MarkDeleting(ctx, kept.ID))
	require.Equal(t, span(20, 30), removable(backup.ID), "of two that are deleted, none leaves it to the other")

	ids := make([][32]byte, 0, 100)
	for _, c := range numbered(0, 100) {
		ids = append(ids, c.ID)
	}
	live, err := d.LiveChunks(ctx, "aabbccdd", ids)
	require.NoError(t, err)
	require.Len(t, live, 100, "the backup itself is kept")
	require.NoError(t, d.MarkDeleting(ctx, backup.ID))
	live, err = d.LiveChunks(ctx, "aabbccdd", ids)
	require.NoError(t, err)
	require.Len(t, live, 20, "the running one and the one on another location")

	n, err := d.ForgetChunksOfFailed(ctx, *failed.StorageLocationID, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, int64(10), n)
}

func span(bounds ...int) (numbers []int) {
	for i := 0; i < len(bounds); i += 2 {
		for n := bounds[i]; n < bounds[i+1]; n++ {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

func TestRowsGoOnlyWhenTheyAreMarked(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	ctx := t.Context()
	job := newJob(t, d, "nightly")
	backup := completed(t, d, job)
	require.NoError(t, d.AddChunks(ctx, backup.ID, numbered(0, 10)))
	child := completed(t, d, job)
	buildsOn(t, url, child.ID, backup.ID)
	require.Error(t, d.RemoveExecution(ctx, backup.ID))

	require.NoError(t, d.MarkDeleting(ctx, backup.ID))
	deleting, err := d.ListDeleting(ctx, job.StorageLocationID, 10)
	require.NoError(t, err)
	require.Equal(t, []string{backup.ID}, deleting)
	requireHeld(t, d.DeleteStorageLocation(ctx, job.StorageLocationID), "backup job")
	require.NoError(t, d.RemoveExecution(ctx, backup.ID))
	require.NoError(t, d.RemoveExecution(ctx, backup.ID), "again is no error")
	_, err = d.GetExecution(ctx, backup.ID)
	require.ErrorIs(t, err, db.ErrNotFound)
	require.Equal(t, []string{"0"}, rows(t, url, `SELECT count(*)::text FROM backup_chunks`))
	_, err = d.GetExecution(ctx, child.ID)
	require.NoError(t, err, "what was built on it stays")
}

// The counts must not read whole tables: each plan names the index that it needs.
func TestReferencesAreCountedByIndex(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	job := newJob(t, d, "nightly")
	for range 3 {
		require.NoError(t, d.AddChunks(t.Context(), completed(t, d, job).ID, numbered(0, 3000)))
	}
	dbtest.Execute(t, url, `ANALYZE`)
	for name, question := range map[string]struct{ sql, index string }{
		"references": {`SELECT EXISTS (SELECT FROM backup_chunks o JOIN backup_executions e ON e.id = o.execution_id
			WHERE o.generation = c.generation AND o.chunk_id = c.chunk_id AND o.execution_id <> c.execution_id AND e.deleting_at IS NULL)
			FROM backup_chunks c WHERE c.execution_id = (SELECT id FROM backup_executions LIMIT 1) ORDER BY c.chunk_id LIMIT 10`, "backup_chunks_reference_idx"},
		"generation": {`SELECT id FROM backup_executions WHERE generation = 'aabbccdd' AND operation = 'backup'`, "backup_executions_generation_idx"},
		"deleting":   {`SELECT id FROM backup_executions WHERE deleting_at IS NOT NULL`, "backup_executions_deleting_idx"},
		"children":   {`SELECT id FROM backup_executions WHERE parent_execution_id = '00000000-0000-7000-8000-000000000000'`, "backup_executions_parent_idx"},
	} {
		require.Contains(t, plan(t, url, question.sql), question.index, name)
	}
}

// plan is how the server would answer, if reading a whole table cost too much.
func plan(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), `SET enable_seqscan = off`)
	require.NoError(t, err)
	found, err := conn.Query(t.Context(), "EXPLAIN "+sql)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(found, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(lines, "\n")
}
