package db_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestAnExecutionLivesFromQueuedToItsEnd(t *testing.T) {
	d := dbtest.New(t)
	job := newJob(t, d, "nightly")
	e := newExecution(t, d, job)
	require.Equal(t, domain.Queued, e.Status)
	require.Equal(t, domain.ID8(e.ID), e.Generation)
	require.Equal(t, uuid.Version(7), uuid.MustParse(e.ID).Version())

	for range 2 { // an activity may be tried again
		begun, err := d.BeginExecution(t.Context(), e.ID, "backup-"+e.ID, "run-1")
		require.NoError(t, err)
		require.Equal(t, domain.Running, begun.Status)
		require.Equal(t, "run-1", begun.Metadata.RunID)
	}
	job, err := d.GetBackupJob(t.Context(), job.ID)
	require.NoError(t, err)
	require.NotNil(t, job.LastExecutionAt)

	require.NoError(t, d.UpdateProgress(t.Context(), e.ID, domain.Progress{Phase: domain.PhaseDumping, Bytes: 42}))
	require.NoError(t, d.ClaimDump(t.Context(), e.ID, 2))
	require.ErrorIs(t, d.SetDumpResult(t.Context(), e.ID, 1, db.DumpResult{}), db.ErrSuperseded)
	require.NoError(t, d.SetDumpResult(t.Context(), e.ID, 2, db.DumpResult{
		SizeBytes: 100, CompressedSizeBytes: 30, ManifestPath: "a/manifest.json", ManifestSHA256: "ab", ToolVersions: map[string]string{"pg_dump": "15.1"},
	}))
	require.NoError(t, d.SetVerification(t.Context(), e.ID, domain.Verification{Mode: domain.VerifyQuick, OK: true, Objects: 3}))
	require.NoError(t, d.FinishExecution(t.Context(), e.ID, db.Finish{Status: domain.Completed}))
	require.NoError(t, d.FinishExecution(t.Context(), e.ID, db.Finish{Status: domain.Failed, ErrorMessage: "late"}))
	require.NoError(t, d.UpdateProgress(t.Context(), e.ID, domain.Progress{Bytes: 1}))

	e, err = d.GetExecution(t.Context(), e.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Completed, e.Status, "the first end stays")
	require.Empty(t, e.ErrorMessage)
	require.Equal(t, int64(42), e.Metadata.Progress.Bytes, "a finished row does not change")
	require.Equal(t, int64(30), e.CompressedSizeBytes)
	require.Equal(t, "15.1", e.Metadata.ToolVersions["pg_dump"])
	require.Equal(t, int64(3), e.Metadata.Verification.Objects)
	require.Equal(t, domain.TriggerManual, e.Metadata.Trigger, "what was there stays")

	_, err = d.BeginExecution(t.Context(), e.ID, "w", "r")
	require.ErrorIs(t, err, db.ErrExecutionFinished)
	require.ErrorIs(t, d.SetDumpResult(t.Context(), e.ID, 2, db.DumpResult{}), db.ErrExecutionFinished)
}

func TestAJobHasOneActiveBackup(t *testing.T) {
	d := dbtest.New(t)
	job := newJob(t, d, "nightly")
	won := 0
	for _, err := range together(10, func(int) error {
		_, err := queue(d, context.Background(), job, domain.OperationBackup)
		return err
	}) {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, db.ErrActiveExecution)
	}
	require.Equal(t, 1, won)

	_, err := queue(d, t.Context(), job, domain.OperationRestore)
	require.NoError(t, err, "restores do not count")
	active, _, err := d.ListExecutions(t.Context(), db.ExecutionFilter{JobID: job.ID, Operation: domain.OperationBackup}, db.Page{})
	require.NoError(t, err)
	require.Len(t, active, 1)
	finish(t, d, active[0].ID, domain.Cancelled)
	_, err = queue(d, t.Context(), job, domain.OperationBackup)
	require.NoError(t, err, "the next may begin once the first has ended")
}

func TestTwoFullBackupsNeverShareAGeneration(t *testing.T) {
	d := dbtest.New(t)
	ctx := t.Context()
	job := newJob(t, d, "orders")
	first := newExecution(t, d, job)
	finish(t, d, first.ID, domain.Completed)
	clash := db.Execution{
		JobID: &job.ID, DatasourceID: &job.DatasourceID, Generation: first.Generation,
		Metadata: domain.ExecutionMetadata{Operation: domain.OperationBackup},
	}
	_, err := d.CreateExecution(ctx, clash)
	var duplicate *db.DuplicateError
	require.ErrorAs(t, err, &duplicate)
	require.Equal(t, "generation", duplicate.Field)
	clash.BackupType = domain.Incremental
	_, err = d.CreateExecution(ctx, clash)
	require.NoError(t, err, "an increment stores into the generation of its full")
}

func TestTheLogKeepsTheNewestLines(t *testing.T) {
	d := dbtest.New(t)
	e := newRunning(t, d, "nightly")
	line := func(i int) domain.LogLine {
		return domain.LogLine{Time: time.Unix(int64(i), 0).UTC(), Level: "info", Message: fmt.Sprintf("line %d", i)}
	}
	for from := 0; from < domain.MaxLogLines+150; from += 50 {
		var lines []domain.LogLine
		for i := from; i < from+50; i++ {
			lines = append(lines, line(i))
		}
		require.NoError(t, d.AppendLogs(t.Context(), e.ID, lines...))
	}
	e, err := d.GetExecution(t.Context(), e.ID)
	require.NoError(t, err)
	require.Len(t, e.Metadata.ExecutionLogs, domain.MaxLogLines)
	require.Equal(t, line(150), e.Metadata.ExecutionLogs[0])
	require.Equal(t, line(domain.MaxLogLines+149), e.Metadata.ExecutionLogs[domain.MaxLogLines-1])

	list, _, err := d.ListExecutions(t.Context(), db.ExecutionFilter{}, db.Page{})
	require.NoError(t, err)
	require.Empty(t, list[0].Metadata.ExecutionLogs, "a list leaves the logs out")
	require.Equal(t, "run-1", list[0].Metadata.RunID)
}

func TestLogsHoldNoCredentialAndNoByteThatJSONRefuses(t *testing.T) {
	d := dbtest.New(t)
	e := newRunning(t, d, "nightly")
	require.NoError(t, d.AppendLogs(t.Context(), e.ID, domain.LogLine{Level: "error", Message: "a\x00b \xff postgres://u:hunter22@h/db"}))
	require.NoError(t, d.FinishExecution(t.Context(), e.ID, db.Finish{Status: domain.Failed, ErrorMessage: "password=hunter22 \x00", FailureClass: "AuthFailed", Hint: "look"}))
	e, err := d.GetExecution(t.Context(), e.ID)
	require.NoError(t, err)
	require.Equal(t, "ab \uFFFD postgres://u:********@h/db", e.Metadata.ExecutionLogs[0].Message)
	require.NotContains(t, e.ErrorMessage, "hunter22")
	require.Equal(t, "AuthFailed", e.Metadata.FailureClass)
}

func TestConcurrentWritersDoNotUndoEachOther(t *testing.T) {
	d := dbtest.New(t)
	e := newRunning(t, d, "nightly")
	ctx := t.Context()
	const each = 10
	for _, err := range together(5*each, func(i int) error {
		switch i % 5 {
		case 0:
			return d.AppendLogs(ctx, e.ID, domain.LogLine{Message: fmt.Sprintf("line %d", i)})
		case 1:
			return d.SetVerification(ctx, e.ID, domain.Verification{Mode: domain.VerifyFull, OK: true})
		case 2:
			return d.SetRestoreReport(ctx, e.ID, domain.RestoreReport{Tables: 7})
		case 3:
			return d.UpdateProgress(ctx, e.ID, domain.Progress{Bytes: 9})
		default:
			return d.SetTemporalURL(ctx, e.ID, "http://ui")
		}
	}) {
		require.NoError(t, err)
	}
	e, err := d.GetExecution(ctx, e.ID)
	require.NoError(t, err)
	require.Len(t, e.Metadata.ExecutionLogs, each)
	require.True(t, e.Metadata.Verification.OK)
	require.Equal(t, 7, e.Metadata.RestoreReport.Tables)
	require.Equal(t, int64(9), e.Metadata.Progress.Bytes)
	require.Equal(t, "http://ui", e.Metadata.TemporalURL)
	require.Equal(t, "backup-"+e.ID, e.Metadata.WorkflowID)
}

func TestALaterAttemptTakesTheDumpOver(t *testing.T) {
	d := dbtest.New(t)
	e := newRunning(t, d, "nightly")
	require.NoError(t, d.ClaimDump(t.Context(), e.ID, 1))
	require.NoError(t, d.ClaimDump(t.Context(), e.ID, 1))
	require.NoError(t, d.HoldsDump(t.Context(), e.ID, 1))
	require.NoError(t, d.ClaimDump(t.Context(), e.ID, 3))
	require.ErrorIs(t, d.HoldsDump(t.Context(), e.ID, 1), db.ErrSuperseded)
	require.ErrorIs(t, d.ClaimDump(t.Context(), e.ID, 2), db.ErrSuperseded)
	require.NoError(t, d.HoldsDump(t.Context(), e.ID, 3))
	finish(t, d, e.ID, domain.Cancelled)
	require.ErrorIs(t, d.HoldsDump(t.Context(), e.ID, 3), db.ErrExecutionFinished)
	require.ErrorIs(t, d.ClaimDump(t.Context(), e.ID, 4), db.ErrExecutionFinished)
}

func TestEveryMethodAnswersNotFoundForAnUnknownID(t *testing.T) {
	d := dbtest.New(t)
	ctx := t.Context()
	for _, id := range []string{uuid.NewString(), "no-id", "", "{00000000-0000-0000-0000-000000000000}"} {
		for name, call := range map[string]func() error{
			"GetExecution":   func() error { _, err := d.GetExecution(ctx, id); return err },
			"BeginExecution": func() error { _, err := d.BeginExecution(ctx, id, "w", "r"); return err },
			"AppendLogs":     func() error { return d.AppendLogs(ctx, id, domain.LogLine{}) },
			"Finish":         func() error { return d.FinishExecution(ctx, id, db.Finish{Status: domain.Failed}) },
			"SetDumpResult":  func() error { return d.SetDumpResult(ctx, id, 1, db.DumpResult{}) },
			"SetVerify":      func() error { return d.SetVerification(ctx, id, domain.Verification{}) },
			"ClaimDump":      func() error { return d.ClaimDump(ctx, id, 1) },
			"ChunkSecret":    func() error { _, err := d.ChunkSecret(ctx, id, "aabbccdd"); return err },
			"ClaimParent":    func() error { _, err := d.ClaimParent(ctx, id, 1, 7); return err },
			"MakeFull":       func() error { return d.MakeFull(ctx, id, 1, "because", true) },
			"AddChunks":      func() error { return d.AddChunks(ctx, id, []db.Chunk{{}}) },
			"GetDatasource":  func() error { _, err := d.GetDatasource(ctx, id); return err },
			"UpdateDatasource": func() error {
				_, err := d.UpdateDatasource(ctx, db.Datasource{ID: id, Name: "x", Type: domain.Postgres})
				return err
			},
			"DeleteDatasource": func() error { return d.DeleteDatasource(ctx, id) },
			"GetStorage":       func() error { _, err := d.GetStorageLocation(ctx, id); return err },
			"DeleteStorage":    func() error { return d.DeleteStorageLocation(ctx, id) },
			"GetJob":           func() error { _, err := d.GetBackupJob(ctx, id); return err },
			"DeleteJob":        func() error { return d.DeleteBackupJob(ctx, id) },
			"CreateJob": func() error {
				_, err := d.CreateBackupJob(ctx, db.BackupJob{Name: "x", DatasourceID: id, StorageLocationID: id})
				return err
			},
			"UserByID": func() error { _, err := d.UserByID(ctx, id); return err },
			"DatasourceHealth": func() error {
				return d.RecordDatasourceHealth(ctx, db.DatasourceHealth{DatasourceID: id, Status: domain.HealthOK, DatasourceStatus: domain.DatasourceHealthy})
			},
		} {
			require.ErrorIs(t, call(), db.ErrNotFound, "%s(%q)", name, id)
		}
	}
}

func TestListeningDeliversEveryChange(t *testing.T) {
	d := dbtest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ids, err := d.ListenExecutions(ctx)
	require.NoError(t, err)
	e := newExecution(t, d, newJob(t, d, "nightly"))
	require.Equal(t, e.ID, <-ids)
	require.NoError(t, d.UpdateProgress(ctx, e.ID, domain.Progress{Bytes: 1}))
	require.Equal(t, e.ID, <-ids)

	// The listener's connection is lost: it comes back, says that something may have been missed,
	// and goes on.
	require.NoError(t, d.KillListener(ctx))
	require.Empty(t, <-ids)
	finish(t, d, e.ID, domain.Failed)
	require.Equal(t, e.ID, <-ids)

	cancel()
	for range ids { // until the channel is closed
	}
}

func TestARolledBackTransactionLeavesNothing(t *testing.T) {
	d := dbtest.New(t)
	refused := errors.New("refused")
	err := d.InTx(t.Context(), func(q *db.Queries) error {
		_, err := q.CreateDatasource(t.Context(), db.Datasource{Name: "gone", Type: domain.Postgres})
		require.NoError(t, err)
		return refused
	})
	require.ErrorIs(t, err, refused)
	list, _, err := d.ListDatasources(t.Context(), db.Page{})
	require.NoError(t, err)
	require.Empty(t, list)
}
