package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/worker"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// registerRuns registers what runs of sync jobs and drill jobs are made of.
func (a *Activities) registerRuns(w worker.ActivityRegistry) {
	contract.BeginSync.Register(w, a.BeginSync)
	contract.CheckSyncSides.Register(w, a.CheckSyncSides)
	contract.PrepareSyncBackup.Register(w, a.PrepareSyncBackup)
	contract.PrepareSyncRestore.Register(w, a.PrepareSyncRestore)
	contract.FinishSync.Register(w, a.FinishSync)
	contract.ExpireSyncBackups.Register(w, a.ExpireSyncBackups)
	contract.CopyDirectly.Register(w, a.CopyDirectly)
	contract.BeginDrill.Register(w, a.BeginDrill)
	contract.PrepareDrill.Register(w, a.PrepareDrill)
	contract.FinishDrill.Register(w, a.FinishDrill)
	contract.CheckRestored.Register(w, a.CheckRestored)
}

// runOfJob is the run that a job would have now.
type runOfJob struct {
	run            db.Run
	enabled        bool
	cron, timeZone string
	overlap        domain.OverlapPolicy
}

// scheduledRun gives a scheduled run its row, unless an earlier try of the activity has, and notes that it has had its turn. The plan
// has the row's id, or why there is to be none.
func (a *Activities) scheduledRun(ctx context.Context, kind db.RunKind, in contract.BeginRunInput, made func() (runOfJob, error)) (contract.RunPlan, error) {
	plan, err := a.makeScheduledRun(ctx, kind, in, made)
	if err == nil && !plan.Later && hasTurn(in.DueAt) {
		err = a.DB.SetRunJobLastDue(ctx, kind, in.JobID, in.DueAt)
	}
	return plan, err
}

func (a *Activities) makeScheduledRun(ctx context.Context, kind db.RunKind, in contract.BeginRunInput, made func() (runOfJob, error)) (plan contract.RunPlan, err error) {
	active, err := a.DB.ActiveRun(ctx, kind, in.JobID)
	switch {
	case err == nil && active.Metadata.RunID == in.WorkflowRun:
		return contract.RunPlan{RunID: active.ID}, nil
	case err == nil:
		plan.Skip = fmt.Sprintf("run %s of the job is %s", active.ID, active.Status)
	case !errors.Is(err, db.ErrNotFound):
		return plan, err
	}
	job, err := made()
	switch {
	case errors.Is(err, db.ErrNotFound):
		return contract.RunPlan{Skip: "the job is gone"}, nil
	case err != nil:
		return plan, err
	case !job.enabled:
		return contract.RunPlan{Skip: "the job is disabled"}, nil
	}
	why, err := a.whyNotDue(ctx, job.cron, job.timeZone, in.DueAt, func() (time.Time, error) {
		return a.DB.LastScheduledRun(ctx, kind, in.JobID)
	})
	if why != "" || err != nil {
		return contract.RunPlan{Skip: why}, err
	}
	if plan.Later = job.overlap == domain.OverlapBufferOne; plan.Skip != "" {
		return plan, nil
	}
	row := job.run
	if !in.DueAt.IsZero() {
		row.Metadata.ScheduledFor = &in.DueAt
	}
	row.Metadata.Trigger, row.Metadata.WorkflowID, row.Metadata.RunID = domain.TriggerSchedule, in.WorkflowID, in.WorkflowRun
	row, err = a.DB.CreateRun(ctx, kind, row)
	if errors.Is(err, db.ErrActiveExecution) {
		plan.Skip = "another run of the job has just begun"
		return plan, nil
	}
	return contract.RunPlan{RunID: row.ID}, err
}

// beginRun moves a run to running, and makes the plan of its workflow.
func (a *Activities) beginRun(ctx context.Context, kind db.RunKind, id string, in contract.BeginRunInput) (db.Run, contract.RunPlan, error) {
	url := ""
	if a.TemporalURL != nil {
		url = a.TemporalURL(in.WorkflowID, in.WorkflowRun)
	}
	run, err := a.DB.BeginRun(ctx, kind, id, in.WorkflowID, in.WorkflowRun, url)
	if err != nil {
		return run, contract.RunPlan{}, err
	}
	a.logRun(ctx, kind, id, "info", "%s started", kind)
	plan := contract.RunPlan{RunID: id, Plan: contract.Plan{
		TimeoutMinutes: 24 * 60, Attempts: a.Tuning.Attempts, HeartbeatSeconds: int(a.Tuning.Heartbeat / time.Second),
	}}
	return run, plan, nil
}

// logRun adds a line to the log of a run. A log that can not be written never fails the work.
func (a *Activities) logRun(ctx context.Context, kind db.RunKind, id, level, format string, args ...any) {
	line := domain.LogLine{Time: time.Now().UTC(), Level: level, Message: failure.Redact(fmt.Sprintf(format, args...))}
	a.Logger.Info(line.Message, string(kind), id, "level", level)
	if err := a.DB.LogRun(ctx, kind, id, line); err != nil {
		a.Logger.Warn("the log of a run was not written", string(kind), id, "error", err)
	}
}

// finishRun records the end of a run, in the same transaction what ended adds to it (nil for nothing), and tells people.
func (a *Activities) finishRun(ctx context.Context, kind db.RunKind, in contract.FinishRunInput, ended func(q *db.Queries, run db.Run) error) error {
	if in.ExecutionID == "" {
		made, err := a.DB.ActiveRun(ctx, kind, in.JobID)
		if errors.Is(err, db.ErrNotFound) || err == nil && made.Metadata.RunID != in.WorkflowRun {
			return nil // it got no row
		}
		if err != nil {
			return toTemporal(ctx, err)
		}
		in.ExecutionID = made.ID
	}
	level, text := "info", string(in.Status)
	if in.Status != domain.Completed {
		level, text = "error", fmt.Sprintf("%s: %s", in.Status, in.Message)
		if in.Hint != "" {
			text += ". " + in.Hint
		}
	}
	a.logRun(ctx, kind, in.ExecutionID, level, "%s", text)
	err := a.DB.InTx(ctx, func(q *db.Queries) error {
		finish := db.Finish{Status: in.Status, ErrorMessage: in.Message, FailureClass: in.FailureClass, Hint: in.Hint}
		closed, err := q.FinishRun(ctx, kind, in.ExecutionID, finish, time.Duration(in.RecoveryMS)*time.Millisecond, "")
		if err != nil || !closed {
			return err
		}
		run, err := q.GetRun(ctx, kind, in.ExecutionID)
		if err != nil {
			return err
		}
		if in.Status != domain.Completed {
			if err := endUnstarted(ctx, q, kind, run); err != nil {
				return err
			}
		}
		if ended != nil {
			if err := ended(q, run); err != nil {
				return err
			}
		}
		return q.TellRunEnd(ctx, kind, in.ExecutionID)
	})
	if err == nil {
		a.at(string(kind) + ".finish_recorded")
	}
	return toTemporal(ctx, err)
}

// endUnstarted ends what a run has made a row for and did not start, as it was stopped in between: nobody else would, and
// a restore that is queued keeps all others from its target. What was started has ended before its run.
func endUnstarted(ctx context.Context, q *db.Queries, kind db.RunKind, run db.Run) error {
	parts := []*string{run.RestoreExecutionID}
	if kind == db.RunSync { // the backup of a drill is not a part of it
		parts = append(parts, run.BackupExecutionID)
	}
	for _, part := range parts {
		if part == nil {
			continue
		}
		_, err := q.FinishWhile(ctx, *part, domain.Queued, db.Finish{
			Status: domain.Cancelled, FailureClass: string(failure.Cancelled), ErrorMessage: fmt.Sprintf("its %s ended before it began", kind),
		})
		if err != nil && !errors.Is(err, db.ErrNotFound) {
			return err
		}
	}
	return nil
}

// partOf makes the row of an execution that is a part of a run.
func partOf(run db.Run, trigger domain.Trigger, parent, workflowID, id string) db.Execution {
	return db.Execution{ID: id, Generation: domain.ID8(id), Metadata: domain.ExecutionMetadata{
		Trigger: trigger, Actor: run.Metadata.Actor, WorkflowID: workflowID, ParentWorkflowID: parent,
	}}
}
