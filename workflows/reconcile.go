package workflows

import (
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
)

// Reconcile makes a storage location and the catalogue say the same: it finishes deletions that were
// interrupted, removes what failed backups left, and removes objects that nothing refers to. A dry
// run only counts.
func Reconcile(ctx workflow.Context, in contract.ReconcileInput) (contract.ReconcileResult, error) {
	r := reconciliation{in: in, limits: execution{in: contract.ExecutionInput{Labels: in.Labels}}}
	return r.steps(ctx)
}

type reconciliation struct {
	in     contract.ReconcileInput
	limits execution // only for its time limits and retry policies
}

func (r *reconciliation) steps(ctx workflow.Context) (contract.ReconcileResult, error) {
	none := contract.ReconcileResult{DryRun: r.in.DryRun}
	plan, err := contract.PlanReconcile.Execute(r.limits.short(ctx, "Look for interrupted deletions"), r.in)
	if err != nil || plan.Skip {
		return none, err
	}
	r.limits.plan = plan.Plan
	failed := r.finish(ctx, plan.Deletions)
	r.tell(ctx, "Comparing what is stored with the catalogue")
	result, err := contract.SweepStorage.Execute(r.limits.long(ctx, "Look for objects that nothing needs"), r.in)
	if err != nil {
		return none, err
	}
	result.Deletions, result.DeletionsFailed = int64(len(plan.Deletions)), failed
	result.More = result.More || plan.More
	return result, nil
}

// finish carries interrupted deletions to their end and returns how many did not get there. One that
// is running already is left to itself.
func (r *reconciliation) finish(ctx workflow.Context, deletions []string) (failed int64) {
	if r.in.DryRun {
		return 0
	}
	for _, id := range deletions {
		r.tell(ctx, "Finishing the deletion of "+id)
		child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
			WorkflowID:            contract.DeleteWorkflowID(id),
			ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
			WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
			StaticSummary:         "Finish the deletion of a backup on " + r.in.Labels.Storage,
			TypedSearchAttributes: temporal.NewSearchAttributes(
				contract.SearchOperation.ValueSet("delete"), contract.SearchStorage.ValueSet(r.in.Labels.Storage)),
		})
		_, err := contract.DeleteBackup.ExecuteChild(child, contract.ExecutionInput{ExecutionID: id, Labels: r.in.Labels})
		if err != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
			workflow.GetLogger(ctx).Warn("an interrupted deletion could not be finished", "execution", id, "error", err)
			failed++
		}
	}
	return failed
}

func (r *reconciliation) tell(ctx workflow.Context, text string) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("%s\n\n- storage: %s", text, r.in.Labels.Storage))
}
