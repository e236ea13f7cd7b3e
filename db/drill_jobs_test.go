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

// Of syncs every failure is told, and the first success after one: neither a good one after a good one, nor one that was
// cancelled, nor the end of another job.
func TestASyncThatSucceedsAgainIsToldOnce(t *testing.T) {
	d := dbtest.Open(t, dbtest.URL(t))
	from, into := newJob(t, d, "orders"), newJob(t, d, "staging")
	jobs := map[string]string{}
	for _, name := range []string{"nightly", "other"} {
		job, err := d.CreateSyncJob(t.Context(), db.SyncJob{
			Name: name, SourceDatasourceID: from.DatasourceID, TargetDatasourceID: into.DatasourceID, OverwriteDirection: domain.SourceToTarget, Enabled: true,
		})
		require.NoError(t, err)
		jobs[name] = job.ID
	}
	end := func(job string, status domain.ExecutionStatus) {
		id := jobs[job]
		run, err := d.CreateRun(t.Context(), db.RunSync, db.Run{JobID: &id, Metadata: domain.RunMetadata{
			Sync: &domain.SyncPlan{FromDatasourceID: from.DatasourceID, IntoDatasourceID: into.DatasourceID},
		}})
		require.NoError(t, err)
		require.NoError(t, d.InTx(t.Context(), func(q *db.Queries) error {
			if _, err := q.FinishRun(t.Context(), db.RunSync, run.ID, db.Finish{Status: status, ErrorMessage: "no route"}, 0, ""); err != nil {
				return err
			}
			return q.TellRunEnd(t.Context(), db.RunSync, run.ID)
		}))
	}
	for _, status := range []domain.ExecutionStatus{domain.Completed, domain.Failed, domain.Failed, domain.Cancelled} {
		end("nightly", status)
	}
	end("other", domain.Completed)
	for range 2 {
		end("nightly", domain.Completed)
	}
	told, _, err := d.ListNotifications(t.Context(), db.NotificationFilter{}, db.Page{})
	require.NoError(t, err)
	var titles []string
	for _, n := range told {
		require.Equal(t, jobs["nightly"], n.EntityID)
		titles = append(titles, n.Title)
	}
	require.Equal(t, []string{`Sync "nightly" succeeded again`, `Sync "nightly" failed`, `Sync "nightly" failed`}, titles)
	require.Equal(t, domain.NotifySyncRecovered, told[0].Type)
	require.Equal(t, domain.SeverityInfo, told[0].Severity)
	require.Equal(t, true, told[0].Metadata["recovered"])
}
