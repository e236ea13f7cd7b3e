package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
)

const (
	// laterEvery is how often a run that comes after another one looks whether that has ended.
	laterEvery = time.Minute
	// laterPatience is how long it waits for that: afterwards the next run of the schedule is near.
	laterPatience = 24 * time.Hour
)

// schedule makes the execution of a run that a schedule started, and says why if there is to be none.
func (e *execution) schedule(ctx workflow.Context) (skipped string, err error) {
	info := workflow.GetInfo(ctx)
	in := contract.ScheduledInput{
		JobID: e.in.JobID, WorkflowID: info.WorkflowExecution.ID, RunID: info.WorkflowExecution.RunID, StartedAt: info.WorkflowStartTime.UTC(), DueAt: dueAt(ctx),
	}
	for waited := time.Duration(0); ; waited += laterEvery {
		run, err := recordNow(ctx, e, contract.QueueScheduledBackup, "Queue the execution", in)
		if err != nil {
			return "", err
		}
		if run.ExecutionID != "" {
			e.in.ExecutionID = run.ExecutionID
			if run.Labels != (contract.Labels{}) {
				e.in.Labels = run.Labels
			}
			return "", nil
		}
		if !run.Later || waited >= laterPatience {
			workflow.SetCurrentDetails(ctx, "This run does not take place: "+run.Skipped+".")
			return run.Skipped, nil
		}
		workflow.SetCurrentDetails(ctx, "Waiting: "+run.Skipped+".")
		if err := workflow.Sleep(ctx, laterEvery); err != nil {
			return "", err
		}
	}
}
