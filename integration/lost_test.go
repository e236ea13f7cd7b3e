package integration

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/worker"
)

// A worker has one slot, and a restore holds it: what people wait for goes on all the same, and another transfer waits for the
// slot. Then somebody terminates the restore, which can not clean up after itself.
func TestALostRestoreLeavesNothingAndABusyWorkerStillAnswers(t *testing.T) {
	const pool = "one-slot"
	s := newSetup(t, withRows(200), withPool(pool))
	var once sync.Once
	held, release := make(chan struct{}), make(chan struct{})
	stop, err := shared.startWorker(worker.Options{Pools: []string{pool}, Slots: 1, Boundary: func(name string) {
		if name == "restore.staged" {
			once.Do(func() { close(held) })
			<-release
		}
	}})
	require.NoError(t, err)
	t.Cleanup(stop)
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	target := s.database + "_copy"
	request := client.RestoreRequest{TargetDatasourceID: s.datasource.ID, ConfirmationPhrase: client.ConfirmRestore(s.datasource.Name)}
	restoreTo(target)(&request)
	restore, err := shared.owner.Restore(t.Context(), backup.ID, request)
	require.NoError(t, err)
	<-held
	staging := func() (names []string) {
		t.Helper()
		rows, err := shared.admin(t, "postgres").Query(t.Context(), "select datname from pg_database where datname like $1", target+"%")
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var name string
			require.NoError(t, rows.Scan(&name))
			names = append(names, name)
		}
		return names
	}
	require.Equal(t, []string{target + "_dg_" + domain.ID8(restore.ID)}, staging())

	// Of another datasource, at another location: it waits for nothing but the slot.
	second, err := shared.owner.RunJob(t.Context(), makeFilesJob(t, shared.owner, pool, unique(t)+"_files", 1000, client.BackupJobDocument{}).ID, nil)
	require.NoError(t, err)
	waitsForSlot := func() bool {
		described, err := shared.dialled.DescribeWorkflowExecution(t.Context(), second.Metadata.WorkflowID, "")
		require.NoError(t, err)
		return slices.ContainsFunc(described.PendingActivities, func(a *workflowpb.PendingActivityInfo) bool {
			return a.ActivityType.Name == contract.Dump.Name && a.State == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED
		})
	}
	require.Eventually(t, waitsForSlot, patience, 50*time.Millisecond)

	checked, err := shared.owner.TestStorageLocation(t.Context(), s.storage.ID)
	require.NoError(t, err)
	require.Equal(t, domain.HealthOK, checked.Status, checked.Message)
	_, err = shared.owner.ListFiles(t.Context(), s.storage.ID, "")
	require.NoError(t, err)

	require.True(t, waitsForSlot(), "while the restore holds it")
	require.NoError(t, shared.dialled.TerminateWorkflow(t.Context(), restore.Metadata.WorkflowID, "", "by hand"))
	close(release)
	sweep(t)
	require.Equal(t, domain.Failed, wait(t, restore).Status)
	waiting, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	require.NoError(t, shared.dialled.GetWorkflow(waiting, contract.CleanRestoreWorkflowID(restore.ID), "").Get(waiting, nil))
	require.Empty(t, staging())
	ended := wait(t, second)
	require.Equal(t, domain.Completed, ended.Status, ended.ErrorMessage)
	require.Equal(t, int32(1), s.attempts(t, ended, "Dump"), "that it waited was no try")
}
