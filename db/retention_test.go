package db_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// removeAllBut keeps only one backup of the job, and what is protected.
func removeAllBut(id string) db.Decide {
	return func(_ db.BackupJob, backups []domain.KeptBackup) (out []domain.RetentionVerdict) {
		for _, b := range backups {
			out = append(out, domain.RetentionVerdict{KeptBackup: b, Keep: b.ID == id, Reasons: []string{"said the test"}})
		}
		return out
	}
}

func ids(backups []domain.KeptBackup) (out []string) {
	for _, b := range backups {
		out = append(out, b.ID)
	}
	return out
}

func TestRetentionLooksAtTheCompletedBackupsOfTheJobOnly(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	ctx := t.Context()
	job, other := newJob(t, d, "nightly"), newJob(t, d, "other")
	backup, pinned, damaged := completed(t, d, job), completed(t, d, job), completed(t, d, job)
	require.NoError(t, d.SetPinned(ctx, pinned.ID, true))
	require.NoError(t, d.SetVerification(ctx, damaged.ID, domain.Verification{Mode: domain.VerifyFull, OK: false}))

	completed(t, d, other)
	for _, status := range []domain.ExecutionStatus{domain.Failed, domain.Cancelled} {
		finish(t, d, newExecution(t, d, job).ID, status)
	}
	restore, err := queue(d, ctx, job, domain.OperationRestore)
	require.NoError(t, err)
	finish(t, d, restore.ID, domain.Completed)
	for _, trigger := range []domain.Trigger{domain.TriggerSync, domain.TriggerDrill} {
		e, err := d.CreateExecution(ctx, db.Execution{
			JobID: &job.ID, DatasourceID: &job.DatasourceID, StorageLocationID: &job.StorageLocationID,
			Metadata: domain.ExecutionMetadata{Operation: domain.OperationBackup, Trigger: trigger},
		})
		require.NoError(t, err)
		finish(t, d, e.ID, domain.Completed)
	}
	deleting := completed(t, d, job)
	require.NoError(t, d.MarkDeleting(ctx, deleting.ID))
	newExecution(t, d, job) // queued

	found, err := d.RetentionBackups(ctx, job.ID)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{backup.ID, pinned.ID, damaged.ID}, ids(found))
	for _, b := range found {
		require.Equal(t, b.ID == pinned.ID, b.Pinned)
		require.Equal(t, b.ID != damaged.ID, b.Good)
		require.Empty(t, b.Held)
		require.Equal(t, "nightly", b.Storage)
		require.Equal(t, job.DatasourceID, b.Datasource, "a job that is given another one keeps both apart")
		require.WithinDuration(t, time.Now(), b.At, time.Minute)
	}
}

func TestRetentionSeesWhatNeedsABackup(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	ctx := t.Context()
	job := newJob(t, d, "nightly")
	held := func(id string) string {
		found, err := d.RetentionBackups(ctx, job.ID)
		require.NoError(t, err)
		for _, b := range found {
			if b.ID == id {
				return b.Held
			}
		}
		return "not found"
	}
	base := completed(t, d, job)
	child := newExecution(t, d, job)
	buildsOn(t, url, child.ID, base.ID)
	require.Equal(t, "queued backup "+child.ID+" builds on it", held(base.ID))
	finish(t, d, child.ID, domain.Completed)
	require.Empty(t, held(base.ID), "an increment that is complete has all its chunks in rows of its own")

	restore, err := d.CreateExecution(ctx, db.Execution{
		DatasourceID: &job.DatasourceID, Metadata: domain.ExecutionMetadata{
			Operation: domain.OperationRestore, Trigger: domain.TriggerManual, Restore: &domain.RestoreOptions{SourceExecutionID: base.ID},
		},
	})
	require.NoError(t, err)
	require.Equal(t, "queued restore "+restore.ID+" reads it", held(base.ID))
	finish(t, d, restore.ID, domain.Failed)
	require.Empty(t, held(base.ID))

	dbtest.Execute(t, url, `UPDATE backup_executions SET metadata = metadata || '{"storage_results": [{"status": "completed"}, {"status": "pending"}]}' WHERE id = $1`, base.ID)
	require.Equal(t, "a copy of it is being made", held(base.ID))
	dbtest.Execute(t, url, `UPDATE storage_locations SET enabled = false WHERE id = $1`, job.StorageLocationID)
	require.Equal(t, "its storage location is disabled", held(base.ID))
}

func TestRetentionMarksTheOldestFirstAndFindsThemAgain(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	ctx := t.Context()
	job := newJob(t, d, "nightly")
	var all []string
	for range 5 {
		all = append(all, completed(t, d, job).ID)
	}
	newestFirst := func(j db.BackupJob, backups []domain.KeptBackup) []domain.RetentionVerdict {
		require.Equal(t, job.ID, j.ID)
		byID := map[string]domain.KeptBackup{}
		for _, b := range backups {
			byID[b.ID] = b
		}
		var sorted []domain.KeptBackup
		for i := len(all) - 1; i >= 0; i-- {
			if b, found := byID[all[i]]; found {
				sorted = append(sorted, b)
			}
		}
		return removeAllBut(all[4])(j, sorted)
	}
	found, err := d.ExpireBackups(ctx, job.ID, 3, newestFirst)
	require.NoError(t, err)
	require.Equal(t, 3, found.Marked)
	marked, err := d.ListExpired(ctx, job.ID, 10)
	require.NoError(t, err)
	require.Equal(t, []db.ExpiredBackup{
		{ID: all[0], Datasource: "nightly", Storage: "nightly", Pool: "default"},
		{ID: all[1], Datasource: "nightly", Storage: "nightly", Pool: "default"},
		{ID: all[2], Datasource: "nightly", Storage: "nightly", Pool: "default"},
	}, marked)
	e, err := d.GetExecution(ctx, all[0])
	require.NoError(t, err)
	require.NotNil(t, e.DeletingAt)
	require.Equal(t, "said the test", e.Metadata.Expired)

	again, err := d.ExpireBackups(ctx, job.ID, 3, newestFirst)
	require.NoError(t, err)
	require.Equal(t, 1, again.Marked)
	require.NoError(t, d.RemoveExecution(ctx, all[0]))
	marked, err = d.ListExpired(ctx, job.ID, 10)
	require.NoError(t, err)
	require.Len(t, marked, 3)
}

func TestRetentionLeavesWhatCameToBeNeededSinceItWasRead(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	ctx := t.Context()
	job := newJob(t, d, "nightly")
	backup := completed(t, d, job)
	found, err := d.ExpireBackups(ctx, job.ID, 10, func(j db.BackupJob, backups []domain.KeptBackup) []domain.RetentionVerdict {
		require.NoError(t, d.SetPinned(context.WithoutCancel(ctx), backup.ID, true))
		return removeAllBut("")(j, backups)
	})
	require.NoError(t, err)
	require.Zero(t, found.Marked)
	require.True(t, found.Verdicts[0].Keep)
	require.Equal(t, []string{"it is pinned"}, found.Verdicts[0].Reasons)
}

func TestAPolicyThatOnlyReportsMarksNothing(t *testing.T) {
	d := dbtest.New(t)
	job := newJob(t, d, "nightly")
	job.RetentionPolicy.AutoDelete = false
	job, err := d.UpdateBackupJob(t.Context(), job)
	require.NoError(t, err)
	completed(t, d, job)
	found, err := d.ExpireBackups(t.Context(), job.ID, 10, removeAllBut(""))
	require.NoError(t, err)
	require.Zero(t, found.Marked)
	require.Len(t, found.Verdicts, 1)
	_, err = d.ExpireBackups(t.Context(), "9a3f0c62-7f2e-4b1e-9d0c-0a4b1c2d3e4f", 10, removeAllBut(""))
	require.ErrorIs(t, err, db.ErrNotFound)
}

func TestARunOfTheRetentionIsRecordedAndToldOnce(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	ctx := t.Context()
	job := newJob(t, d, "nightly")
	result := domain.RetentionResult{At: time.Now().UTC().Truncate(time.Microsecond), Kept: 3, Removed: 1, Bytes: 42}
	tell := &db.Notification{
		Type: domain.NotifyCleanupCompleted, Severity: domain.SeverityInfo, EntityType: domain.EntityBackupJob, EntityID: job.ID, Title: "Removed",
	}
	for range 2 {
		require.NoError(t, d.RecordRetention(ctx, job.ID, "run-1", result, tell))
	}
	require.Equal(t, []string{"cleanup_completed"}, rows(t, url, `SELECT type::text FROM notifications`))
	found, err := d.RetentionResults(ctx, []string{job.ID})
	require.NoError(t, err)
	require.Equal(t, map[string]domain.RetentionResult{job.ID: result}, found)

	require.NoError(t, d.RecordRetention(ctx, job.ID, "run-2", domain.RetentionResult{Kept: 3}, nil))
	found, err = d.RetentionResults(ctx, []string{job.ID})
	require.NoError(t, err)
	require.Zero(t, found[job.ID].Removed)
	require.Equal(t, 1, dbtest.Count(t, url, `SELECT count(*) FROM notifications`))
	require.NoError(t, d.RecordRetention(ctx, "9a3f0c62-7f2e-4b1e-9d0c-0a4b1c2d3e4f", "run-3", result, tell), "the job is gone")
}
