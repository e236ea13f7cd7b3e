package workflows

import (
	"fmt"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
)

// ApplyRetention removes the backups of a job that its policy does not keep, batch after batch, until there is nothing left
// to remove, and records what it did. Each is deleted by a workflow of its own. A run that ends early leaves backups
// that are marked; the next run, or a reconciliation, goes on with them.
func ApplyRetention(ctx workflow.Context, in contract.RetentionInput) (contract.RetentionDone, error) {
	r := retention{in: in, done: in.Done, limits: execution{in: contract.ExecutionInput{Labels: in.Labels}}}
	if r.done.RunID == "" {
		r.done.RunID = workflow.GetInfo(ctx).WorkflowExecution.RunID
	}
	return r.steps(ctx)
}

type retention struct {
	in     contract.RetentionInput
	done   contract.RetentionDone
	limits execution // only for its time limits and retry policies
	tried  []string
}

func (r *retention) steps(ctx workflow.Context) (contract.RetentionDone, error) {
	for {
		batch, err := contract.ExpireBackups.Execute(r.limits.record(ctx, "Decide which backups go"), contract.ExpireInput{JobID: r.in.JobID})
		if err != nil || batch.Gone {
			return r.done, err
		}
		fresh := slices.DeleteFunc(batch.Expired, func(e contract.Expired) bool { return slices.Contains(r.tried, e.ExecutionID) })
		if len(fresh) == 0 {
			return r.done, r.finish(ctx, batch)
		}
		for _, expired := range fresh {
			if err := r.remove(ctx, expired); err != nil {
				return r.done, err
			}
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			r.in.Done = r.done
			return r.done, workflow.NewContinueAsNewError(ctx, contract.ApplyRetention.Name, r.in)
		}
	}
}

// remove waits until the backup is gone. One whose deletion runs already is left to it, one that can not be deleted now
// to the next run. The error is a cancellation.
func (r *retention) remove(ctx workflow.Context, expired contract.Expired) error {
	r.tell(ctx, "Removing backup "+expired.ExecutionID)
	r.tried = append(r.tried, expired.ExecutionID)
	child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            contract.DeleteWorkflowID(expired.ExecutionID),
		TaskQueue:             contract.TaskQueue(expired.Pool),
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         "Delete a backup of " + expired.Labels.Job + " that its retention policy does not keep",
		TypedSearchAttributes: searchable("delete", expired.Labels),
	})
	removed, err := contract.DeleteBackup.ExecuteChild(child, contract.ExecutionInput{ExecutionID: expired.ExecutionID, Labels: expired.Labels})
	switch {
	case err == nil:
		r.done.Removed++
		r.done.Bytes += removed.Bytes
	case ctx.Err() != nil:
		return err
	case !temporal.IsWorkflowExecutionAlreadyStartedError(err):
		workflow.GetLogger(ctx).Warn("a backup could not be removed", "execution", expired.ExecutionID, "error", err)
		if !slices.Contains(r.done.Failed, expired.ExecutionID) {
			r.done.Failed = append(r.done.Failed, expired.ExecutionID)
		}
	}
	return nil
}

func (r *retention) finish(ctx workflow.Context, last contract.Expiry) error {
	r.tell(ctx, fmt.Sprintf("%d backups stay, %d were removed", last.Kept, r.done.Removed))
	_, err := contract.FinishRetention.Execute(r.limits.record(ctx, "Record what was removed"), contract.FinishRetentionInput{
		JobID: r.in.JobID, Kept: last.Kept, WouldRemove: last.WouldRemove, Done: r.done,
	})
	return err
}

func (r *retention) tell(ctx workflow.Context, text string) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("%s\n\n- job: %s", text, r.in.Labels.Job))
}

// searchable are the search attributes of a workflow that is about what the labels name.
func searchable(operation string, labels contract.Labels) temporal.SearchAttributes {
	attributes := []temporal.SearchAttributeUpdate{contract.SearchOperation.ValueSet(operation)}
	for _, named := range []struct {
		key  temporal.SearchAttributeKeyKeyword
		name string
	}{{contract.SearchJob, labels.Job}, {contract.SearchDatasource, labels.Datasource}, {contract.SearchStorage, labels.Storage}} {
		if named.name != "" {
			attributes = append(attributes, named.key.ValueSet(named.name))
		}
	}
	return temporal.NewSearchAttributes(attributes...)
}

// retain starts the retention of the job whose backup is complete. It goes on by itself; one that runs already looks
// again before it ends, and should it not be started at all, the next backup's catches up.
func (b *backup) retain(ctx workflow.Context) {
	if b.plan.RetentionJobID == "" {
		return
	}
	uncancelled, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	child := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(uncancelled, workflow.ChildWorkflowOptions{
		WorkflowID:            contract.RetentionWorkflowID(b.plan.RetentionJobID),
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         "Apply the retention policy of " + b.in.Labels.Job,
		TypedSearchAttributes: searchable("retention", contract.Labels{Job: b.in.Labels.Job}),
	}), contract.ApplyRetention.Name, contract.RetentionInput{JobID: b.plan.RetentionJobID, Labels: contract.Labels{Job: b.in.Labels.Job}})
	err := child.GetChildWorkflowExecution().Get(uncancelled, nil)
	if err != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		workflow.GetLogger(ctx).Warn("the retention was not started", "job", b.plan.RetentionJobID, "error", err)
	}
}
