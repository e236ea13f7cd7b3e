package workflows

import (
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// execution is what Backup and Restore share: a row that is begun, told about and finished.
type execution struct {
	in    contract.ExecutionInput
	plan  contract.Plan
	spent time.Duration // of the time that the plan gives, on what has to be done again
	// warning is what went wrong when the work was done, "" for nothing.
	warning string
}

func (e *execution) ref() contract.ExecutionRef {
	return contract.ExecutionRef{ExecutionID: e.in.ExecutionID}
}

// begin marks the row as running under this run and learns what is to be done, once there is a place for it. A history of
// a version without the queue has no answer that says to wait, so it goes on as it did.
func (e *execution) begin(ctx workflow.Context) error {
	e.tell(ctx, domain.PhasePreparing, "Preparing")
	info := workflow.GetInfo(ctx)
	in := contract.BeginInput{
		ExecutionID: e.in.ExecutionID,
		WorkflowID:  info.WorkflowExecution.ID,
		RunID:       info.WorkflowExecution.RunID,
		Queue:       true,
	}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		plan, err := recordNow(ctx, e, contract.BeginExecution, "Mark the execution as running", in)
		if err != nil || plan.Waiting == "" {
			e.plan = plan
			return err
		}
		e.tell(ctx, domain.PhasePreparing, "Waiting for %s", plan.Waiting)
		workflow.GetSignalChannel(ctx, contract.AdmittedSignal).ReceiveWithTimeout(ctx, pause, nil)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// complete records success. From here on the result can not be cancelled away.
func (e *execution) complete(ctx workflow.Context) error {
	uncancelled, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	e.tell(ctx, domain.PhaseDone, "Completed")
	_, err := recordNow(uncancelled, e, contract.FinishExecution, "Record the result", contract.FinishInput{
		ExecutionID: e.in.ExecutionID, Status: domain.Completed, Warning: e.warning,
	})
	return err
}

// abandon undoes what was done and records why, whatever happens to the workflow meanwhile. It
// returns the error the workflow ends with.
func (e *execution) abandon(ctx workflow.Context, cause error, undo func(workflow.Context) error) error {
	uncancelled, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	finish := outcome(cause)
	finish.ExecutionID = e.in.ExecutionID
	e.tell(uncancelled, domain.PhaseCleaning, "Cleaning up after: %s", finish.Message)
	if err := undo(uncancelled); err != nil {
		workflow.GetLogger(ctx).Warn("clean-up failed", "execution", e.in.ExecutionID, "error", err)
		left := outcome(err)
		finish.Message += fmt.Sprintf("; and its leftovers could not be removed: %s", left.Message)
	}
	_, err := contract.FinishExecution.Execute(e.record(uncancelled, "Record the reason"), finish)
	if err != nil {
		workflow.GetLogger(ctx).Error("recording the end failed", "execution", e.in.ExecutionID, "error", err)
	}
	e.tell(uncancelled, domain.PhaseDone, "%s: %s", finish.Status, finish.Message)
	return cause
}

// stopped is the error that a run ends with. A step that was asked to stop is not tried again: when its worker dies, or hands
// it back, the server tells of the timeout, or of that. That is no failure, it is the end that was asked for.
func stopped(ctx workflow.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	var application *temporal.ApplicationError
	if errors.As(err, &application) && application.NonRetryable() {
		return err
	}
	var timeout *temporal.TimeoutError
	var step *temporal.ActivityError
	if errors.As(err, &timeout) || (errors.As(err, &step) && step.RetryState() == enumspb.RETRY_STATE_CANCEL_REQUESTED) {
		return temporal.NewCanceledError()
	}
	return err
}

// outcome says what an error means for the row.
func outcome(err error) contract.FinishInput {
	if temporal.IsCanceledError(err) {
		return contract.FinishInput{Status: domain.Cancelled, FailureClass: string(failure.Cancelled), Message: "cancelled on request"}
	}
	out := contract.FinishInput{Status: domain.Failed, FailureClass: string(failure.Unknown), Message: err.Error()}
	var application *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	switch {
	case errors.As(err, &application):
		out.Message = application.Message()
		if application.Type() != "" {
			out.FailureClass = application.Type()
		}
		if application.HasDetails() {
			// A detail that is not a hint (an older worker's) is simply not shown.
			_ = application.Details(&out.Hint)
		}
	case errors.As(err, &timeout):
		out.FailureClass = string(failure.Timeout)
		out.Message = "no worker finished the step in time (" + timeout.TimeoutType().String() + ")"
		out.Hint = "Check that a worker of the pool is running, and raise timeout_minutes if the backup is simply large."
	}
	return out
}

// explain writes into the log of the execution why something about it could not be done, with what to do.
func (e *execution) explain(ctx workflow.Context, what, summary string, cause error) {
	uncancelled, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	why := outcome(cause)
	message := what + ": " + why.Message
	if why.Hint != "" {
		message += ". " + why.Hint
	}
	_, err := contract.LogExecution.Execute(e.record(uncancelled, summary), contract.LogInput{
		ExecutionID: e.in.ExecutionID, Level: "error", Message: message,
	})
	if err != nil {
		workflow.GetLogger(ctx).Error("a failure was not recorded", "execution", e.in.ExecutionID, "what", what, "error", err)
	}
	e.tell(uncancelled, domain.PhaseDone, "%s", message)
}

// tell sets what the Temporal web UI shows as the workflow's current details.
func (e *execution) tell(ctx workflow.Context, phase domain.Phase, format string, args ...any) {
	labels := e.in.Labels
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("**%s**: %s\n\n- datasource: %s\n- storage: %s\n- execution: `%s`",
		phase, fmt.Sprintf(format, args...), labels.Datasource, labels.Storage, e.in.ExecutionID))
}
