package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// RestoreDrill proves that the latest backup restores: a Restore in verification mode into a temporary
// database, which is checked, and dropped however it ends.
func RestoreDrill(ctx workflow.Context, in contract.RunInput) (contract.RunResult, error) {
	d := drill{run: newRun(in)}
	plan, err := d.beginWith(ctx, in, contract.BeginDrill)
	if plan.Skip != "" {
		return contract.RunResult{Skipped: plan.Skip}, nil
	}
	if err != nil {
		return contract.RunResult{}, d.finishWith(ctx, contract.FinishDrill, err, 0)
	}
	result, err := d.prove(ctx)
	result.RunID = plan.RunID
	return result, d.finishWith(ctx, contract.FinishDrill, err, result.RecoveryMS)
}

type drill struct{ run }

func (d *drill) prove(ctx workflow.Context) (contract.RunResult, error) {
	half, err := contract.PrepareDrill.Execute(d.record(ctx, "Choose the backup"), d.ref)
	if err != nil {
		return contract.RunResult{}, err
	}
	d.tell(ctx, domain.PhaseLoading, "Restoring into a temporary database on %s", half.Labels.Datasource)
	restored, err := d.child(ctx, half, contract.Restore, contract.RestoreWorkflowID(half.ExecutionID))
	return contract.RunResult{SizeBytes: restored.SizeBytes, Tables: restored.Tables, RecoveryMS: restored.RecoveryMS}, err
}
