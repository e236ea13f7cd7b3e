package reconcile_test

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/reconcile"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }

// anyAge is an age that every execution has.
const anyAge = -time.Hour

func queued(t *testing.T, d *db.DB) db.Execution {
	t.Helper()
	id := uuid.NewString()
	row, err := d.CreateExecution(t.Context(), db.Execution{ID: id, Metadata: domain.ExecutionMetadata{
		Operation: domain.OperationBackup, Trigger: domain.TriggerManual, WorkflowID: contract.BackupWorkflowID(id),
	}})
	require.NoError(t, err)
	return row
}

func running(t *testing.T, d *db.DB) db.Execution {
	t.Helper()
	row := queued(t, d)
	row, err := d.BeginExecution(t.Context(), row.ID, row.Metadata.WorkflowID, "run")
	require.NoError(t, err)
	return row
}

func sweep(t *testing.T, d *db.DB, temporal *mocks.Client, olderThan time.Duration) (int, error) {
	t.Helper()
	return reconcile.Sweep(t.Context(), d, temporal, olderThan, slog.New(slog.DiscardHandler))
}

func read(t *testing.T, d *db.DB, id string) db.Execution {
	t.Helper()
	row, err := d.GetExecution(t.Context(), id)
	require.NoError(t, err)
	return row
}

func describes(temporal *mocks.Client, status enumspb.WorkflowExecutionStatus, err error) *mock.Call {
	var answer *workflowservice.DescribeWorkflowExecutionResponse
	if err == nil {
		answer = &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: status}}
	}
	return temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, "").Return(answer, err)
}

func TestAnOpenExecutionEndsAsItsWorkflowDid(t *testing.T) {
	d := dbtest.New(t)
	unknown := serviceerror.NewNotFound("no such workflow")
	for name, c := range map[string]struct {
		begun   bool
		status  enumspb.WorkflowExecutionStatus
		err     error
		want    domain.ExecutionStatus
		message string
	}{
		"never started":           {err: unknown, want: domain.Failed, message: "the platform stopped before the workflow was started"},
		"lost":                    {begun: true, err: unknown, want: domain.Failed, message: "does not exist any more"},
		"terminated":              {begun: true, status: enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, want: domain.Failed, message: "was terminated"},
		"terminated while queued": {status: enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, want: domain.Failed, message: "was terminated"},
		"timed out":               {begun: true, status: enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT, want: domain.Failed, message: "timed out"},
		"failed":                  {begun: true, status: enumspb.WORKFLOW_EXECUTION_STATUS_FAILED, want: domain.Failed, message: "did not record why"},
		"cancelled":               {begun: true, status: enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED, want: domain.Cancelled, message: "was cancelled"},
		"completed":               {begun: true, status: enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, want: domain.Failed, message: "did not record a result"},
		"still running":           {begun: true, status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, want: domain.Running},
		"waiting for a worker":    {status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, want: domain.Queued},
	} {
		t.Run(name, func(t *testing.T) {
			var temporal mocks.Client
			describes(&temporal, c.status, c.err)
			row := queued(t, d)
			if c.begun {
				_, err := d.BeginExecution(t.Context(), row.ID, row.Metadata.WorkflowID, "run")
				require.NoError(t, err)
			}
			closed, err := sweep(t, d, &temporal, anyAge)
			require.NoError(t, err)
			ended := read(t, d, row.ID)
			require.Equal(t, c.want, ended.Status)
			require.Contains(t, ended.ErrorMessage, c.message)
			if c.want.Finished() {
				require.Equal(t, 1, closed)
			} else {
				require.Zero(t, closed)
				require.NoError(t, d.FinishExecution(t.Context(), row.ID, db.Finish{Status: domain.Cancelled})) // out of the way of the other cases
			}
			again, err := sweep(t, d, &temporal, anyAge)
			require.NoError(t, err)
			require.Zero(t, again, "a second sweep finds nothing")
			temporal.AssertCalled(t, "DescribeWorkflowExecution", mock.Anything, row.Metadata.WorkflowID, "")
		})
	}
}

func TestAYoungQueuedExecutionIsNotLookedAt(t *testing.T) {
	d := dbtest.New(t)
	row := queued(t, d)
	closed, err := sweep(t, d, &mocks.Client{}, time.Minute) // a question would panic
	require.NoError(t, err)
	require.Zero(t, closed)
	require.Equal(t, domain.Queued, read(t, d, row.ID).Status)
}

func TestWithoutTemporalNothingIsClosed(t *testing.T) {
	d := dbtest.New(t)
	first, second := running(t, d), running(t, d)
	var temporal mocks.Client
	describes(&temporal, 0, serviceerror.NewUnavailable("connection refused"))
	closed, err := sweep(t, d, &temporal, anyAge)
	require.ErrorContains(t, err, "connection refused")
	require.Zero(t, closed)
	temporal.AssertNumberOfCalls(t, "DescribeWorkflowExecution", 1)
	for _, row := range []db.Execution{first, second} {
		require.Equal(t, domain.Running, read(t, d, row.ID).Status)
	}
}

func TestAnUnclearAnswerDoesNotHideTheOthers(t *testing.T) {
	d := dbtest.New(t)
	lost, odd := running(t, d), running(t, d) // the newest is asked about first
	var temporal mocks.Client
	temporal.On("DescribeWorkflowExecution", mock.Anything, odd.Metadata.WorkflowID, "").Return(nil, serviceerror.NewNamespaceNotFound("other"))
	describes(&temporal, 0, serviceerror.NewNotFound("no such workflow"))
	closed, err := sweep(t, d, &temporal, anyAge)
	require.ErrorContains(t, err, odd.Metadata.WorkflowID)
	require.Equal(t, 1, closed)
	require.Equal(t, domain.Failed, read(t, d, lost.ID).Status)
	require.Equal(t, domain.Running, read(t, d, odd.ID).Status)
}

func TestAnEndRecordedDuringTheSweepStays(t *testing.T) {
	d := dbtest.New(t)
	row := running(t, d)
	var temporal mocks.Client
	describes(&temporal, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, nil).Run(func(mock.Arguments) {
		require.NoError(t, d.FinishExecution(t.Context(), row.ID, db.Finish{Status: domain.Completed}))
	})
	closed, err := sweep(t, d, &temporal, anyAge)
	require.NoError(t, err)
	require.Zero(t, closed)
	require.Equal(t, domain.Completed, read(t, d, row.ID).Status)
}

func TestAnExecutionThatBeginsDuringTheSweepGoesOn(t *testing.T) {
	d := dbtest.New(t)
	row := queued(t, d)
	var temporal mocks.Client
	describes(&temporal, 0, serviceerror.NewNotFound("no such workflow")).Run(func(mock.Arguments) {
		_, err := d.BeginExecution(t.Context(), row.ID, row.Metadata.WorkflowID, "run")
		require.NoError(t, err)
	}).Once()
	describes(&temporal, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, nil)
	closed, err := sweep(t, d, &temporal, anyAge)
	require.NoError(t, err)
	require.Zero(t, closed)
	require.Equal(t, domain.Running, read(t, d, row.ID).Status)
}

func location(t *testing.T, d *db.DB, name string) db.StorageLocation {
	t.Helper()
	row, err := d.CreateStorageLocation(t.Context(), db.StorageLocation{
		Name: name, Type: domain.StorageLocal, Enabled: true, Config: domain.StorageConfig{Path: "/" + name},
	})
	require.NoError(t, err)
	return row
}

// A backup with three locations: the first did not take it, the second has it, and the copying to the third
// is under way.
func beingCopied(t *testing.T, d *db.DB) (row db.Execution, first, second, third db.StorageLocation) {
	t.Helper()
	first, second, third = location(t, d, "first"), location(t, d, "second"), location(t, d, "third")
	id := uuid.NewString()
	options := domain.BackupOptions{StorageStrategy: domain.StrategyReplicate, StorageTargets: []domain.StorageTarget{
		{StorageLocationID: second.ID, Order: 1}, {StorageLocationID: third.ID, Order: 2},
	}}
	row, err := d.CreateExecution(t.Context(), db.Execution{ID: id, StorageLocationID: &second.ID, Metadata: domain.ExecutionMetadata{
		Operation: domain.OperationBackup, Trigger: domain.TriggerManual, WorkflowID: contract.BackupWorkflowID(id), Options: &options,
	}})
	require.NoError(t, err)
	_, err = d.BeginExecution(t.Context(), id, row.Metadata.WorkflowID, "run")
	require.NoError(t, err)
	require.NoError(t, d.ClaimDump(t.Context(), id, 1))
	require.NoError(t, d.SetDumpResult(t.Context(), id, 1, db.DumpResult{ManifestPath: "m", ManifestSHA256: "ab"}))
	for _, r := range []domain.StorageResult{
		{StorageLocationID: first.ID, Name: "first", Status: domain.TargetFailed, Error: "it is full"},
		{StorageLocationID: second.ID, Name: "second", Status: domain.TargetCompleted},
	} {
		_, err := d.RecordTarget(t.Context(), id, db.TargetReport{Result: r})
		require.NoError(t, err)
	}
	return read(t, d, id), first, second, third
}

func TestABackupThatWasOnlyBeingCopiedIsCompleted(t *testing.T) {
	for name, c := range map[string]struct {
		status enumspb.WorkflowExecutionStatus
		err    error
	}{
		"its workflow was terminated":             {status: enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED},
		"its workflow could not record the end":   {status: enumspb.WORKFLOW_EXECUTION_STATUS_FAILED},
		"Temporal does not know its workflow now": {err: serviceerror.NewNotFound("no such workflow")},
	} {
		t.Run(name, func(t *testing.T) {
			d := dbtest.New(t)
			row, first, second, third := beingCopied(t, d)
			_, err := d.RecordTarget(t.Context(), row.ID, db.TargetReport{Result: domain.StorageResult{
				StorageLocationID: third.ID, Name: "third", Status: domain.TargetPending,
			}})
			require.NoError(t, err)
			var temporal mocks.Client
			describes(&temporal, c.status, c.err)
			closed, err := sweep(t, d, &temporal, anyAge)
			require.NoError(t, err)
			require.Equal(t, 1, closed)
			ended := read(t, d, row.ID)
			require.Equal(t, domain.Completed, ended.Status)
			require.Empty(t, ended.ErrorMessage)
			results := map[string]domain.StorageResult{}
			for _, r := range ended.Metadata.StorageResults {
				results[r.StorageLocationID] = r
			}
			require.Equal(t, "it is full", results[first.ID].Error)
			require.Equal(t, domain.TargetCompleted, results[second.ID].Status)
			require.Equal(t, domain.TargetFailed, results[third.ID].Status)
			require.Contains(t, results[third.ID].Error, "workflow")
			require.Contains(t, ended.Metadata.ExecutionLogs[len(ended.Metadata.ExecutionLogs)-1].Message, "1 copies are missing")
			require.NoError(t, d.CheckDeletable(t.Context(), row.ID), "no pending copy holds it")
		})
	}
}

func TestABackupThatIsNotPlacedYetFailsWithItsWorkflow(t *testing.T) {
	d := dbtest.New(t)
	row, _, second, third := beingCopied(t, d)
	// Placed on another location than where the row is now.
	require.NoError(t, d.MoveBackup(t.Context(), row.ID, third.ID, 2))
	var temporal mocks.Client
	describes(&temporal, enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, nil)
	_, err := sweep(t, d, &temporal, anyAge)
	require.NoError(t, err)
	require.Equal(t, domain.Failed, read(t, d, row.ID).Status, second.ID)
}

func TestWhatALostRestoreLoadedIsDropped(t *testing.T) {
	d := dbtest.New(t)
	target, err := d.CreateDatasource(t.Context(), db.Datasource{Name: "orders", Type: domain.Postgres, Enabled: true, Pool: "site-b"})
	require.NoError(t, err)
	restore := func() db.Execution {
		id := uuid.NewString()
		row, err := d.CreateExecution(t.Context(), db.Execution{ID: id, DatasourceID: &target.ID, Metadata: domain.ExecutionMetadata{
			Operation: domain.OperationRestore, Trigger: domain.TriggerManual, WorkflowID: contract.RestoreWorkflowID(id),
			Restore: &domain.RestoreOptions{TargetDatasourceID: target.ID},
		}})
		require.NoError(t, err)
		_, err = d.BeginExecution(t.Context(), id, row.Metadata.WorkflowID, "run")
		require.NoError(t, err)
		return read(t, d, id)
	}
	row := restore()
	var temporal mocks.Client
	describes(&temporal, enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, nil)
	temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, contract.CleanRestore.Name, mock.Anything).
		Return(nil, serviceerror.NewUnavailable("connection refused")).Once()
	_, err = sweep(t, d, &temporal, anyAge)
	require.ErrorContains(t, err, "connection refused")
	require.Equal(t, domain.Running, read(t, d, row.ID).Status, "closed, nobody would look at it again")

	temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, contract.CleanRestore.Name, mock.Anything).Return(nil, nil).Run(func(args mock.Arguments) {
		options := args.Get(1).(client.StartWorkflowOptions)
		require.Equal(t, contract.CleanRestoreWorkflowID(row.ID), options.ID)
		require.Equal(t, "dataguardian.site-b", options.TaskQueue)
		require.Equal(t, row.ID, args.Get(3).(contract.ExecutionInput).ExecutionID)
	}).Once()
	closed, err := sweep(t, d, &temporal, anyAge)
	require.NoError(t, err)
	require.Equal(t, 1, closed)
	require.Equal(t, domain.Failed, read(t, d, row.ID).Status)
	temporal.AssertNumberOfCalls(t, "ExecuteWorkflow", 2)
}

// A backup is complete, and the workflow that copied it to further locations is lost: the copy is ended truthfully, and holds the
// backup no longer.
func TestACopyWhoseWorkflowIsLostIsEnded(t *testing.T) {
	d := dbtest.New(t)
	row, _, second, third := beingCopied(t, d)
	require.NoError(t, d.FinishExecution(t.Context(), row.ID, db.Finish{Status: domain.Completed}))
	for _, location := range []db.StorageLocation{second, third} {
		_, err := d.RecordTarget(t.Context(), row.ID, db.TargetReport{Result: domain.StorageResult{
			StorageLocationID: location.ID, Name: location.Name, Status: domain.TargetPending,
		}})
		require.NoError(t, err)
	}
	require.Error(t, d.CheckDeletable(t.Context(), row.ID))
	settle := func(temporal *mocks.Client, olderThan time.Duration) (int, error) {
		return reconcile.SettleCopies(t.Context(), d, temporal, olderThan)
	}
	settled, err := settle(&mocks.Client{}, time.Minute) // a question would panic
	require.NoError(t, err)
	require.Zero(t, settled, "its workflow may be starting now")

	var away mocks.Client
	describes(&away, 0, serviceerror.NewUnavailable("connection refused"))
	_, err = settle(&away, anyAge)
	require.ErrorContains(t, err, "connection refused")

	var temporal mocks.Client
	temporal.On("DescribeWorkflowExecution", mock.Anything, contract.ReplicateWorkflowID(row.ID, second.ID), "").Return(
		&workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING}}, nil)
	describes(&temporal, 0, serviceerror.NewNotFound("no such workflow"))
	settled, err = settle(&temporal, anyAge)
	require.NoError(t, err)
	require.Equal(t, 1, settled)
	results := map[string]domain.StorageResult{}
	for _, r := range read(t, d, row.ID).Metadata.StorageResults {
		results[r.StorageLocationID] = r
	}
	require.Equal(t, domain.TargetPending, results[second.ID].Status, "it is being copied")
	require.Equal(t, domain.TargetFailed, results[third.ID].Status)
	require.Equal(t, "WorkflowLost", results[third.ID].FailureClass)

	var gone mocks.Client
	describes(&gone, enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, nil)
	settled, err = settle(&gone, anyAge)
	require.NoError(t, err)
	require.Equal(t, 1, settled)
	require.NoError(t, d.CheckDeletable(t.Context(), row.ID))
	settled, err = settle(&mocks.Client{}, anyAge)
	require.NoError(t, err)
	require.Zero(t, settled, "nothing is left to ask about")
}
