package workflows

import (
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// Sync copies one datasource into another: a Backup and then a Restore, each with a row and a workflow of its
// own, or in direct mode one Restore that reads the source itself. What is overwritten is whole at every
// moment: the restore loads beside it.
func Sync(ctx workflow.Context, in contract.RunInput) (contract.RunResult, error) {
	s := syncRun{run: newRun(in)}
	plan, err := s.beginWith(ctx, in, contract.BeginSync)
	if err != nil || plan.Skip != "" {
		return contract.RunResult{Skipped: plan.Skip}, s.notBegun(ctx, err)
	}
	result, err := s.steps(ctx, plan)
	err = s.finishWith(ctx, contract.FinishSync, err, 0)
	if !plan.Direct {
		s.expire(ctx)
	}
	return result, err
}

type syncRun struct{ run }

// notBegun closes the row of a run that could not begin, if it has one.
func (s *syncRun) notBegun(ctx workflow.Context, err error) error {
	if err == nil {
		return nil
	}
	return s.finishWith(ctx, contract.FinishSync, err, 0)
}

func (s *syncRun) steps(ctx workflow.Context, plan contract.RunPlan) (contract.RunResult, error) {
	result := contract.RunResult{RunID: plan.RunID}
	s.tell(ctx, domain.PhaseChecking, "Checking both sides")
	if _, err := contract.CheckSyncSides.Execute(s.short(ctx, "Check both sides"), s.ref); err != nil {
		return result, err
	}
	if !plan.Direct && !plan.BackedUp {
		half, err := contract.PrepareSyncBackup.Execute(s.record(ctx, "Prepare the backup"), s.ref)
		if err != nil {
			return result, err
		}
		s.tell(ctx, domain.PhaseDumping, "Backing up %s", half.Labels.Datasource)
		if _, err := s.child(ctx, half, contract.Backup, contract.BackupWorkflowID(half.ExecutionID)); err != nil {
			return result, err
		}
	}
	half, err := contract.PrepareSyncRestore.Execute(s.record(ctx, "Prepare the restore"), s.ref)
	if err != nil {
		return result, err
	}
	s.tell(ctx, domain.PhaseLoading, "Restoring into %s", half.Labels.Datasource)
	restored, err := s.child(ctx, half, contract.Restore, contract.RestoreWorkflowID(half.ExecutionID))
	result.SizeBytes, result.Tables = restored.SizeBytes, restored.Tables
	return result, err
}

// expire deletes the backups that the job keeps no longer. It starts the deletions and does not wait: one
// that is interrupted is finished by the storage location's reconciliation.
func (s *syncRun) expire(ctx workflow.Context) {
	uncancelled, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	expired, err := contract.ExpireSyncBackups.Execute(s.record(uncancelled, "Look for backups that are kept no longer"), s.ref)
	if err != nil {
		workflow.GetLogger(ctx).Warn("old backups of a sync stay", "run", s.in.ExecutionID, "error", err)
		return
	}
	for _, id := range expired.Backups {
		child := workflow.WithChildOptions(uncancelled, workflow.ChildWorkflowOptions{
			WorkflowID: contract.DeleteWorkflowID(id), TaskQueue: workflow.GetInfo(ctx).TaskQueueName,
			ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_ABANDON, StaticSummary: "Delete an old backup of a sync",
		})
		started := workflow.ExecuteChildWorkflow(child, contract.DeleteBackup.Name, contract.ExecutionInput{ExecutionID: id, Labels: s.in.Labels})
		if err := started.GetChildWorkflowExecution().Get(uncancelled, nil); err != nil {
			workflow.GetLogger(ctx).Warn("the deletion of an old backup was not started", "backup", id, "error", err)
		}
	}
}
