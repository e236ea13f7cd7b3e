package integration

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	temporal "go.temporal.io/sdk/client"
	sdkerrors "go.temporal.io/sdk/temporal"
	sdk "go.temporal.io/sdk/worker"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/workflows"
)

// Only a real server ends a step that is asked to stop and does not: it tries it no more, and tells of what befell it. The
// activities are the test's, and their worker is as good as dead.
func TestABackupThatWasAskedToStopEndsAsCancelledWhateverBecomesOfItsWorker(t *testing.T) {
	t.Parallel()
	permanent := sdkerrors.NewApplicationErrorWithOptions("the password is wrong", "AuthFailed", sdkerrors.ApplicationErrorOptions{NonRetryable: true})
	for name, test := range map[string]struct {
		ends error // what the dump answers once it was asked to stop; nil is nothing at all
		want domain.ExecutionStatus
	}{
		"it dies":                            {nil, domain.Cancelled},
		"it hands the step back":             {errors.New("the worker stops"), domain.Cancelled},
		"the step has failed for good by it": {permanent, domain.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			queue := contract.TaskQueue(unique(t))
			long, short := sdk.New(shared.dialled, queue, sdk.Options{}), sdk.New(shared.dialled, contract.ShortTaskQueue(queue), sdk.Options{})
			dumping, asked, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
			ended := make(chan contract.FinishInput, 1)
			contract.Backup.Register(long, workflows.Backup)
			contract.BeginExecution.Register(long, func(context.Context, contract.BeginInput) (contract.Plan, error) {
				return contract.Plan{Verify: domain.VerifyNone, TimeoutMinutes: 5, Attempts: 3, HeartbeatSeconds: 2}, nil
			})
			contract.Dump.Register(long, func(context.Context, contract.DumpInput) (contract.DumpResult, error) {
				close(dumping)
				<-asked
				if test.ends == nil {
					<-over
				}
				return contract.DumpResult{}, test.ends
			})
			contract.DiscardBackup.Register(short, func(context.Context, contract.DiscardInput) (contract.Nothing, error) {
				return contract.Nothing{}, nil
			})
			contract.FinishExecution.Register(short, func(_ context.Context, in contract.FinishInput) (contract.Nothing, error) {
				ended <- in
				return contract.Nothing{}, nil
			})
			for _, w := range []sdk.Worker{long, short} {
				require.NoError(t, w.Start())
				defer w.Stop()
			}
			defer close(over)

			run, err := contract.Backup.Start(t.Context(), shared.dialled,
				temporal.StartWorkflowOptions{ID: contract.BackupWorkflowID(unique(t)), TaskQueue: queue}, contract.ExecutionInput{ExecutionID: unique(t)})
			require.NoError(t, err)
			<-dumping
			require.NoError(t, shared.dialled.CancelWorkflow(t.Context(), run.GetID(), run.GetRunID()))
			requireAskedToStop(t, run)
			close(asked)

			err = run.Get(t.Context(), nil)
			require.Error(t, err)
			require.Equal(t, test.want == domain.Cancelled, sdkerrors.IsCanceledError(err), err)
			finish := <-ended
			require.Equal(t, test.want, finish.Status, finish.Message)
		})
	}
}

// requireAskedToStop waits until the history says that a step is to be cancelled.
func requireAskedToStop(t *testing.T, run temporal.WorkflowRun) {
	t.Helper()
	events := shared.dialled.GetWorkflowHistory(t.Context(), run.GetID(), run.GetRunID(), true, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		if event.EventType == enumspb.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED {
			return
		}
	}
	t.Fatal("the run has ended before its step was asked to stop")
}
