package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// run is what Sync and RestoreDrill share: a row of its own, and executions that are started as children.
type run struct {
	execution
	ref   contract.RunRef
	jobID string
}

func newRun(in contract.RunInput) run {
	return run{execution: execution{in: contract.ExecutionInput{ExecutionID: in.RunID, Labels: in.Labels}}, jobID: in.JobID}
}

// beginWith marks the run as running and learns what is to be done, once nothing is in its way that it may wait for. A plan that says
// Skip has no row. A history of a version without the waiting has no plan that says Later, so it goes on as it did.
func (r *run) beginWith(ctx workflow.Context, in contract.RunInput, begin contract.Activity[contract.BeginRunInput, contract.RunPlan]) (contract.RunPlan, error) {
	r.tell(ctx, domain.PhasePreparing, "Preparing")
	info := workflow.GetInfo(ctx)
	asked := contract.BeginRunInput{
		JobID: in.JobID, RunID: in.RunID, WorkflowID: info.WorkflowExecution.ID, WorkflowRun: info.WorkflowExecution.RunID, DueAt: dueAt(ctx),
	}
	for waited := time.Duration(0); ; waited += laterEvery {
		plan, err := begin.Execute(r.record(ctx, "Mark the run as running"), asked)
		switch {
		case err != nil:
			return plan, err
		case plan.Skip == "":
			r.plan, r.in.ExecutionID, r.in.Labels = plan.Plan, plan.RunID, plan.Labels
			r.ref = contract.RunRef{RunID: plan.RunID, WorkflowID: info.WorkflowExecution.ID}
			return plan, nil
		}
		again, err := comesLater(ctx, plan.Skip, plan.Later, waited)
		if err != nil {
			return contract.RunPlan{}, err
		}
		if !again {
			return plan, nil
		}
	}
}

// dueAt is when the schedule that started the workflow meant it to start; zero when no schedule did.
func dueAt(ctx workflow.Context) time.Time {
	due, known := workflow.GetTypedSearchAttributes(ctx).GetTime(contract.SearchScheduledFor)
	if !known {
		return time.Time{}
	}
	return due.UTC()
}

// child runs one half to its end. When the run is cancelled, so is the half, which is waited for: it has
// cleaned up when this returns. When the run is terminated, the half is cancelled too.
func (r *run) child(ctx workflow.Context, half contract.Half, of contract.Workflow[contract.ExecutionInput, contract.ExecutionResult], id string) (contract.ExecutionResult, error) {
	attributes := []temporal.SearchAttributeUpdate{
		contract.SearchDatasource.ValueSet(half.Labels.Datasource), contract.SearchStorage.ValueSet(half.Labels.Storage),
		contract.SearchJob.ValueSet(half.Labels.Job),
	}
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: id, TaskQueue: workflow.GetInfo(ctx).TaskQueueName, StaticSummary: half.Summary,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
		WaitForCancellation:   true,
		TypedSearchAttributes: temporal.NewSearchAttributes(attributes...),
	})
	return of.ExecuteChild(ctx, contract.ExecutionInput{ExecutionID: half.ExecutionID, Labels: half.Labels})
}

// finishWith records how the run ended, whatever happens to the workflow meanwhile.
func (r *run) finishWith(ctx workflow.Context, finish contract.Activity[contract.FinishRunInput, contract.Nothing], cause error, recoveryMS int64) error {
	cause = stopped(ctx, cause)
	uncancelled, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	end := contract.FinishInput{Status: domain.Completed}
	if cause != nil {
		end = outcome(cause)
	}
	end.ExecutionID = r.in.ExecutionID
	_, err := finish.Execute(r.record(uncancelled, "Record the result"), contract.FinishRunInput{
		FinishInput: end, RecoveryMS: recoveryMS, JobID: r.jobID, WorkflowRun: workflow.GetInfo(ctx).WorkflowExecution.RunID,
	})
	r.tell(uncancelled, domain.PhaseDone, "%s %s", end.Status, end.Message)
	if cause != nil {
		if err != nil {
			workflow.GetLogger(ctx).Error("recording the end failed", "run", r.in.ExecutionID, "error", err)
		}
		return cause
	}
	return err
}
