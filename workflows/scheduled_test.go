package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/workflows"
)

// scheduled answers a scheduled run's question for its execution with one answer after the other.
func (w *world) scheduled(answers ...contract.ScheduledRun) *[]contract.ScheduledInput {
	asked := &[]contract.ScheduledInput{}
	contract.QueueScheduledBackup.Register(w.env, func(_ context.Context, in contract.ScheduledInput) (contract.ScheduledRun, error) {
		*asked = append(*asked, in)
		return answers[len(*asked)-1], nil
	})
	return asked
}

func TestAScheduledBackupMakesItsOwnExecution(t *testing.T) {
	w := newWorld(t)
	due := time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)
	require.NoError(t, w.env.SetTypedSearchAttributesOnStart(temporal.NewSearchAttributes(contract.SearchScheduledFor.ValueSet(due))))
	asked := w.scheduled(contract.ScheduledRun{ExecutionID: "made", Labels: contract.Labels{Datasource: "orders"}})
	w.env.ExecuteWorkflow(workflows.Backup, contract.ExecutionInput{JobID: "nightly"})
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, []string{"begin", "dump", "verify full", "finish"}, w.called)
	require.Equal(t, "made", w.finished[0].ExecutionID)
	require.Len(t, *asked, 1)
	require.Equal(t, "nightly", (*asked)[0].JobID)
	require.Equal(t, due, (*asked)[0].DueAt)
	require.NotEmpty(t, (*asked)[0].RunID)
}

func TestAScheduledRunThatIsSkippedEndsWithTheReason(t *testing.T) {
	w := newWorld(t)
	w.scheduled(contract.ScheduledRun{Skipped: "the job is disabled"})
	w.env.ExecuteWorkflow(workflows.Backup, contract.ExecutionInput{JobID: "nightly"})
	require.NoError(t, w.env.GetWorkflowError())
	var result contract.ExecutionResult
	require.NoError(t, w.env.GetWorkflowResult(&result))
	require.Equal(t, contract.ExecutionResult{Skipped: "the job is disabled"}, result)
	require.Empty(t, w.called)
}

func TestAScheduledRunThatMayWaitComesAfterTheOther(t *testing.T) {
	w := newWorld(t)
	busy := contract.ScheduledRun{Skipped: "execution e0 of the job is running", Later: true}
	asked := w.scheduled(busy, busy, contract.ScheduledRun{ExecutionID: "made"})
	w.env.ExecuteWorkflow(workflows.Backup, contract.ExecutionInput{JobID: "nightly"})
	require.NoError(t, w.env.GetWorkflowError())
	require.Len(t, *asked, 3)
	require.Equal(t, "made", w.finished[0].ExecutionID)
}

func TestAStepOfTheUpkeepThatFailsDoesNotKeepTheOthers(t *testing.T) {
	w := newWorld(t)
	contract.EnsureSchedules.Register(w.env, func(context.Context, contract.Nothing) (contract.SchedulesReport, error) {
		return contract.SchedulesReport{}, permanent("Unreachable", "Temporal does not answer", "")
	})
	contract.SweepExecutions.Register(w.env, func(context.Context, contract.Nothing) (contract.SweepReport, error) {
		w.called = append(w.called, "sweep")
		return contract.SweepReport{}, nil
	})
	contract.PruneCatalogue.Register(w.env, func(context.Context, contract.Nothing) (contract.PruneReport, error) {
		w.called = append(w.called, "prune")
		return nil, nil
	})
	w.env.ExecuteWorkflow(workflows.Upkeep, contract.Nothing{})
	require.ErrorContains(t, w.env.GetWorkflowError(), "Temporal does not answer")
	require.Equal(t, []string{"sweep", "prune"}, w.called)
}

func TestAnExecutionWithoutAPlaceWaitsUntilItIsLetIn(t *testing.T) {
	w := newWorld(t)
	var asked int
	w.env.OnActivity(contract.BeginExecution.Name, mock.Anything, mock.Anything).Return(func(_ context.Context, in contract.BeginInput) (contract.Plan, error) {
		require.True(t, in.Queue)
		if asked++; asked < 3 {
			return contract.Plan{Waiting: `datasource "orders"`}, nil
		}
		return w.plan, nil
	})
	started := w.env.Now()
	w.env.RegisterDelayedCallback(func() { w.env.SignalWorkflow(contract.AdmittedSignal, nil) }, 40*time.Second)
	w.env.ExecuteWorkflow(workflows.Backup, input())
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, 3, asked)
	require.Less(t, w.env.Now().Sub(started), time.Minute, "after half a minute by itself, and then because it was told")
	require.Equal(t, []string{"dump", "verify full", "finish"}, w.called)
}

func TestAWaitingExecutionIsCancelledAtOnce(t *testing.T) {
	w := newWorld(t)
	w.plan = contract.Plan{Waiting: `datasource "orders"`}
	w.env.RegisterDelayedCallback(w.env.CancelWorkflow, 10*time.Second)
	w.env.ExecuteWorkflow(workflows.Backup, input())
	require.Error(t, w.env.GetWorkflowError())
	require.Equal(t, domain.Cancelled, w.finished[0].Status)
	require.NotContains(t, w.called, "dump")
}

func TestAScheduledRunThatCanNotBeginClosesTheRowThatItMayHaveMade(t *testing.T) {
	for name, c := range bothRuns {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.begin.Register(w.env, func(context.Context, contract.BeginRunInput) (contract.RunPlan, error) {
				return contract.RunPlan{}, permanent("NotFound", "the datasource is gone", "")
			})
			var ended []contract.FinishRunInput
			c.finish.Register(w.env, func(_ context.Context, in contract.FinishRunInput) (contract.Nothing, error) {
				ended = append(ended, in)
				return contract.Nothing{}, nil
			})
			w.env.ExecuteWorkflow(c.workflow, contract.RunInput{JobID: "nightly"})
			require.ErrorContains(t, w.env.GetWorkflowError(), "the datasource is gone")
			require.Len(t, ended, 1)
			require.Equal(t, domain.Failed, ended[0].Status)
			require.Equal(t, "nightly", ended[0].JobID)
			require.NotEmpty(t, ended[0].WorkflowRun)
			require.Empty(t, ended[0].ExecutionID)
		})
	}
}

// aRun is a workflow of runs with the activities that begin and end one.
type aRun struct {
	workflow any
	begin    contract.Activity[contract.BeginRunInput, contract.RunPlan]
	finish   contract.Activity[contract.FinishRunInput, contract.Nothing]
}

var bothRuns = map[string]aRun{
	"a sync":  {workflows.Sync, contract.BeginSync, contract.FinishSync},
	"a drill": {workflows.RestoreDrill, contract.BeginDrill, contract.FinishDrill},
}

// answers has a run be told one plan after the other, the last one again and again, and counts how often it asks and how it ends.
func (r aRun) answers(w *world, plans ...contract.RunPlan) (asked *int, ended *[]contract.FinishRunInput) {
	asked, ended = new(int), new([]contract.FinishRunInput)
	r.begin.Register(w.env, func(context.Context, contract.BeginRunInput) (contract.RunPlan, error) {
		*asked++
		return plans[min(*asked, len(plans))-1], nil
	})
	r.finish.Register(w.env, func(_ context.Context, in contract.FinishRunInput) (contract.Nothing, error) {
		*ended = append(*ended, in)
		return contract.Nothing{}, nil
	})
	return asked, ended
}

var busyRun = contract.RunPlan{Skip: "run r0 of the job is running", Later: true}

func TestAScheduledSyncOrDrillThatMayWaitComesAfterTheOther(t *testing.T) {
	for name, kind := range bothRuns {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			asked, ended := kind.answers(w, busyRun, busyRun, contract.RunPlan{RunID: "made"})
			prepared := []contract.RunRef{}
			refuse := func(_ context.Context, in contract.RunRef) error {
				prepared = append(prepared, in)
				return permanent("ConfigInvalid", "enough for this test", "")
			}
			contract.CheckSyncSides.Register(w.env, func(ctx context.Context, in contract.RunRef) (contract.Nothing, error) {
				return contract.Nothing{}, refuse(ctx, in)
			})
			contract.PrepareDrill.Register(w.env, func(ctx context.Context, in contract.RunRef) (contract.Half, error) {
				return contract.Half{}, refuse(ctx, in)
			})
			contract.ExpireSyncBackups.Register(w.env, func(context.Context, contract.RunRef) (contract.ExpiredSyncBackups, error) {
				return contract.ExpiredSyncBackups{}, nil
			})
			started := w.env.Now()
			w.env.ExecuteWorkflow(kind.workflow, contract.RunInput{JobID: "nightly"})
			require.ErrorContains(t, w.env.GetWorkflowError(), "enough for this test")
			require.Equal(t, 3, *asked)
			require.Equal(t, 2*time.Minute, w.env.Now().Sub(started).Truncate(time.Minute))
			require.Len(t, prepared, 1)
			require.Equal(t, "made", prepared[0].RunID)
			require.Equal(t, "made", (*ended)[0].ExecutionID)
		})
	}
}

func TestAScheduledSyncOrDrillDoesNotWaitForEver(t *testing.T) {
	for name, kind := range bothRuns {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			_, ended := kind.answers(w, busyRun)
			started := w.env.Now()
			w.env.ExecuteWorkflow(kind.workflow, contract.RunInput{JobID: "nightly"})
			require.NoError(t, w.env.GetWorkflowError())
			var result contract.RunResult
			require.NoError(t, w.env.GetWorkflowResult(&result))
			require.Equal(t, contract.RunResult{Skipped: busyRun.Skip}, result)
			require.Equal(t, 24*time.Hour, w.env.Now().Sub(started).Truncate(time.Hour))
			require.Empty(t, *ended)
		})
	}
}

func TestAScheduledSyncOrDrillThatWaitsIsCancelledAtOnce(t *testing.T) {
	for name, kind := range bothRuns {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			asked, ended := kind.answers(w, busyRun)
			w.env.RegisterDelayedCallback(w.env.CancelWorkflow, 10*time.Second)
			w.env.ExecuteWorkflow(kind.workflow, contract.RunInput{JobID: "nightly"})
			require.True(t, temporal.IsCanceledError(w.env.GetWorkflowError()), "%v", w.env.GetWorkflowError())
			require.Equal(t, 1, *asked)
			require.Len(t, *ended, 1)
			require.Equal(t, domain.Cancelled, (*ended)[0].Status)
			require.Empty(t, (*ended)[0].ExecutionID, "it has no row")
		})
	}
}
