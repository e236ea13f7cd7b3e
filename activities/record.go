package activities

import (
	"context"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// BeginExecution marks the row as running under this workflow run and says what is to be done, or what it waits for.
func (a *Activities) BeginExecution(ctx context.Context, in contract.BeginInput) (contract.Plan, error) {
	var e db.Execution
	var waiting string
	// One transaction, as each costs a short backup a moment: whoever sees that it runs sees where, too.
	err := a.DB.InTx(ctx, func(q *db.Queries) (err error) {
		if in.Queue {
			e, waiting, err = q.BeginOrWait(ctx, in.ExecutionID, in.WorkflowID, in.RunID)
		} else {
			e, err = q.BeginExecution(ctx, in.ExecutionID, in.WorkflowID, in.RunID)
		}
		if err != nil || waiting != "" {
			return err
		}
		if a.TemporalURL != nil {
			if err := q.SetTemporalURL(ctx, e.ID, a.TemporalURL(in.WorkflowID, in.RunID)); err != nil {
				return err
			}
		}
		return q.AppendLogs(ctx, e.ID, a.line(e.ID, "info", "%s started", e.Metadata.Operation))
	})
	if err != nil || waiting != "" {
		return contract.Plan{Waiting: waiting}, toTemporal(ctx, err)
	}
	a.at("begin.recorded")
	plan := a.planOf(e)
	if err := a.addRetention(ctx, e, &plan); err != nil {
		return contract.Plan{}, toTemporal(ctx, err)
	}
	return plan, toTemporal(ctx, a.addPlaces(ctx, e, &plan))
}

func (a *Activities) planOf(e db.Execution) contract.Plan {
	options := domain.BackupOptions{}
	if e.Metadata.Options != nil {
		options = *e.Metadata.Options
	}
	options.Normalize()
	plan := contract.Plan{
		Verify:           options.Verify,
		TimeoutMinutes:   options.TimeoutMinutes,
		Attempts:         a.Tuning.Attempts,
		HeartbeatSeconds: int(a.Tuning.Heartbeat / time.Second),
	}
	for _, moment := range domain.HookMoments() {
		if e.Metadata.Operation == domain.OperationBackup && len(options.Hooks.At(moment)) > 0 {
			plan.Hooks = append(plan.Hooks, moment)
		}
	}
	if r := e.Metadata.Restore; r != nil {
		plan.VerificationMode, plan.KeepDatabase = r.VerificationMode, r.KeepDatabase
		plan.Direct, plan.Checks = r.Direct(), r.Checks != nil
	}
	return plan
}

// FinishExecution records how the execution ended. A row that has ended already stays as it is.
func (a *Activities) FinishExecution(ctx context.Context, in contract.FinishInput) (contract.Nothing, error) {
	level, text := "info", string(in.Status)
	if in.Status != domain.Completed {
		level, text = "error", fmt.Sprintf("%s: %s", in.Status, in.Message)
		if in.Hint != "" {
			text += ". " + in.Hint
		}
	}
	var lines []domain.LogLine
	if in.Warning != "" {
		lines = append(lines, a.line(in.ExecutionID, "warning", "%s", in.Warning))
	}
	lines = append(lines, a.line(in.ExecutionID, level, "%s", text))
	err := a.DB.InTx(ctx, func(q *db.Queries) error { // one, as in BeginExecution; the end first, which takes the queue's lock before the row's
		if err := q.FinishExecution(ctx, in.ExecutionID, db.Finish{
			Status: in.Status, ErrorMessage: in.Message, FailureClass: in.FailureClass, Hint: in.Hint, Warning: failure.Redact(in.Warning),
		}); err != nil {
			return err
		}
		return q.AppendLogs(ctx, in.ExecutionID, lines...)
	})
	if err == nil {
		a.at("finish.recorded")
		a.tellAdmitted(ctx)
	}
	return contract.Nothing{}, toTemporal(ctx, err)
}

// log adds a line to the execution's log. A log that can not be written never fails the work; the
// worker's own log has the line too.
func (a *Activities) log(ctx context.Context, executionID, level, format string, args ...any) {
	line := a.line(executionID, level, format, args...)
	if err := a.DB.AppendLogs(ctx, executionID, line); err != nil {
		a.Logger.Warn("execution log was not written", "execution", executionID, "error", err)
	}
}

// line is a line of the execution's log, which the worker's own log has from here on.
func (a *Activities) line(executionID, level, format string, args ...any) domain.LogLine {
	line := domain.LogLine{Time: time.Now().UTC(), Level: level, Message: failure.Redact(fmt.Sprintf(format, args...))}
	a.Logger.Info(line.Message, "execution", executionID, "level", level)
	return line
}
