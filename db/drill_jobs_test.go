package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// Retention marks the latest backup while a drill takes it: the drill waits, sees the mark, and takes the one before.
func TestTheLatestBackupIsHeldByWhoTakesIt(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	job := newJob(t, d, "nightly")
	older, latest := completed(t, d, job), completed(t, d, job)
	taken := make(chan db.Execution, 1)
	err := d.InTx(t.Context(), func(q *db.Queries) error {
		require.NoError(t, q.MarkDeleting(t.Context(), latest.ID))
		go func() {
			backup, err := d.HoldLatestBackup(t.Context(), job.DatasourceID, nil)
			if err != nil {
				t.Error(err)
			}
			taken <- backup
		}()
		awaitLock(t, url)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, older.ID, (<-taken).ID)

	marked := make(chan error, 1)
	require.NoError(t, d.InTx(t.Context(), func(q *db.Queries) error {
		backup, err := q.HoldLatestBackup(t.Context(), job.DatasourceID, &job.ID)
		require.NoError(t, err)
		go func() { marked <- d.MarkDeleting(t.Context(), backup.ID) }()
		awaitLock(t, url)
		_, err = q.CreateExecution(t.Context(), db.Execution{DatasourceID: &job.DatasourceID, StorageLocationID: &job.StorageLocationID, Metadata: domain.ExecutionMetadata{
			Operation: domain.OperationRestore, Trigger: domain.TriggerDrill, Restore: &domain.RestoreOptions{SourceExecutionID: backup.ID, VerificationMode: true},
		}})
		return err
	}))
	require.Error(t, <-marked, "the drill's restore holds it")
}

func TestADrillDoesNotTakeTheBackupInBetweenOfASync(t *testing.T) {
	d := dbtest.Open(t, dbtest.URL(t))
	job := newJob(t, d, "nightly")
	mine := completed(t, d, job)
	between, err := d.CreateExecution(t.Context(), db.Execution{DatasourceID: &job.DatasourceID, StorageLocationID: &job.StorageLocationID, Metadata: domain.ExecutionMetadata{
		Operation: domain.OperationBackup, Trigger: domain.TriggerSync,
	}})
	require.NoError(t, err)
	finish(t, d, between.ID, domain.Completed)
	backup, err := d.HoldLatestBackup(t.Context(), job.DatasourceID, nil)
	require.NoError(t, err)
	require.Equal(t, mine.ID, backup.ID)
}

// A run that is closed for want of a workflow is told of, and a good drill after a bad one says so.
func TestTheEndOfARunIsToldWhoeverRecordsIt(t *testing.T) {
	d := dbtest.Open(t, dbtest.URL(t))
	job := newJob(t, d, "nightly")
	drill, err := d.CreateDrillJob(t.Context(), db.DrillJob{Name: "proof", DatasourceID: job.DatasourceID, TargetDatasourceID: job.DatasourceID, MaxBackupAgeHours: 24, Enabled: true})
	require.NoError(t, err)
	for _, status := range []domain.ExecutionStatus{domain.Failed, domain.Completed, domain.Completed, domain.Cancelled} {
		run, err := d.CreateRun(t.Context(), db.RunDrill, db.Run{JobID: &drill.ID})
		require.NoError(t, err)
		require.NoError(t, d.InTx(t.Context(), func(q *db.Queries) error {
			if _, err := q.FinishRun(t.Context(), db.RunDrill, run.ID, db.Finish{Status: status, ErrorMessage: "its workflow is gone"}, 0, ""); err != nil {
				return err
			}
			return q.TellRunEnd(t.Context(), db.RunDrill, run.ID)
		}))
	}
	told, _, err := d.ListNotifications(t.Context(), db.NotificationFilter{}, db.Page{})
	require.NoError(t, err)
	var titles []string
	for _, n := range told {
		require.Equal(t, drill.ID, n.EntityID)
		titles = append(titles, n.Title)
	}
	require.Equal(t, []string{`Restore drill "proof" succeeded`, `Restore drill "proof" succeeded again`, `Restore drill "proof" failed`}, titles)
}
