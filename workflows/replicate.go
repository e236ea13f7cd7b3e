package workflows

import (
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// Replicate copies a backup to one more storage location, verifies the copy and records what became of
// it, which is also what a failed one comes to: the backup itself stays as good as it is.
func Replicate(ctx workflow.Context, in contract.ReplicateInput) (contract.CopyResult, error) {
	r := replication{execution: execution{in: contract.ExecutionInput{ExecutionID: in.ExecutionID, Labels: in.Labels}}, target: in.Target}
	copied, err := r.steps(ctx)
	err = stopped(ctx, err)
	r.finish(ctx, copied, err)
	return copied, err
}

type replication struct {
	execution
	target contract.Place
}

func (r *replication) ref() contract.ReplicaRef {
	return contract.ReplicaRef{ExecutionID: r.in.ExecutionID, StorageLocationID: r.target.StorageID}
}

func (r *replication) steps(ctx workflow.Context) (contract.CopyResult, error) {
	r.tell(ctx, domain.PhaseCopying, "Copying the backup to %s", r.target.Name)
	var err error
	if r.plan, err = contract.BeginReplica.Execute(r.record(ctx, "Record that "+r.target.Name+" gets a copy"), r.ref()); err != nil {
		return contract.CopyResult{}, err
	}
	return contract.CopyBackup.Execute(r.long(ctx, "Copy to "+r.target.Name), r.ref())
}

func (r *replication) finish(ctx workflow.Context, copied contract.CopyResult, err error) {
	if err != nil {
		failed := failedPlace{r.target, outcome(err)}
		r.report(ctx, failed.report())
		r.tell(ctx, domain.PhaseDone, "No copy on %s: %s", r.target.Name, failed.why.Message)
		return
	}
	r.report(ctx, contract.TargetReport{Result: domain.StorageResult{
		StorageLocationID: r.target.StorageID, Name: r.target.Name, Status: domain.TargetCompleted, Objects: copied.Objects, Bytes: copied.Bytes,
	}})
	r.tell(ctx, domain.PhaseDone, "%s has a copy: %d objects, %d of them were there already", r.target.Name, copied.Objects, copied.Objects-copied.Copied)
}

// report is about a copy that is missing. People are told, unless it was they who stopped it.
func (f failedPlace) report() contract.TargetReport {
	return contract.TargetReport{
		Result:  f.result(),
		Warning: fmt.Sprintf("the copy to storage location %q failed: %s", f.place.Name, f.why.Message),
		Alert:   f.why.Status != domain.Cancelled,
	}
}

// replicate copies the backup to every location of the job that does not have it, one after the other in
// their order. Nothing that happens there is a failure of the backup; a cancellation ends the copying.
func (b *backup) replicate(ctx workflow.Context) {
	if !b.plan.Replicate {
		return
	}
	at := len(b.failed) // where it is, among the targets
	for i, target := range b.plan.Targets {
		if i == at {
			continue
		}
		if ctx.Err() != nil {
			b.report(ctx, failedPlace{target, outcome(temporal.NewCanceledError())}.report())
			continue
		}
		b.tell(ctx, domain.PhaseCopying, "Copying the backup to %s", target.Name)
		if err := b.copyTo(ctx, target); err != nil {
			workflow.GetLogger(ctx).Warn("a storage location has no copy", "execution", b.in.ExecutionID, "storage", target.Name, "error", err)
		}
	}
}

func (b *backup) copyTo(ctx workflow.Context, target contract.Place) error {
	labels := b.in.Labels
	labels.Storage = target.Name
	child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            contract.ReplicateWorkflowID(b.in.ExecutionID, target.StorageID),
		WaitForCancellation:   true,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         fmt.Sprintf("Copy a backup of %s to %s", labels.Datasource, target.Name),
		TypedSearchAttributes: temporal.NewSearchAttributes(contract.SearchOperation.ValueSet("replicate"),
			contract.SearchDatasource.ValueSet(labels.Datasource), contract.SearchStorage.ValueSet(target.Name)),
	})
	_, err := contract.Replicate.ExecuteChild(child, contract.ReplicateInput{ExecutionID: b.in.ExecutionID, Target: target, Labels: labels})
	return err
}
