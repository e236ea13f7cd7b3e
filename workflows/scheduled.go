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
		again, err := comesLater(ctx, run.Skipped, run.Later, waited)
		if err != nil {
			return "", err
		}
		if !again {
			return run.Skipped, nil
		}
	}
}

// comesLater waits a while with a run that something is in the way of, if it may come later, and reports whether it is to be asked
// for again. It shows why in the Temporal UI.
func comesLater(ctx workflow.Context, why string, later bool, waited time.Duration) (again bool, err error) {
	if !later || waited >= laterPatience {
		workflow.SetCurrentDetails(ctx, "This run does not take place: "+why+".")
		return false, nil
	}
	workflow.SetCurrentDetails(ctx, "Waiting: "+why+".")
	err = workflow.Sleep(ctx, laterEvery)
	return err == nil, err
}
