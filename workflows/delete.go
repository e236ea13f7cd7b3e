package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// DeleteBackup deletes an execution with its data, in three phases: the mark, from which on nothing
// reads the backup or builds on it; its objects, as far as no other backup needs them; its rows. A
// run that ends early, however it does, leaves the mark, and Reconcile starts another.
func DeleteBackup(ctx workflow.Context, in contract.ExecutionInput) (contract.DeleteResult, error) {
	d := deletion{execution: execution{in: in}}
	return d.steps(ctx)
}

type deletion struct {
	execution
	places []contract.Place
}

func (d *deletion) steps(ctx workflow.Context) (contract.DeleteResult, error) {
	d.tell(ctx, domain.PhasePreparing, "Marking the backup as being deleted")
	marked, err := contract.MarkDeleting.Execute(d.record(ctx, "Mark as being deleted"), d.ref())
	if err != nil || marked.Gone {
		return contract.DeleteResult{}, err
	}
	d.plan, d.places = marked.Plan, marked.Places
	// What is marked is not a backup any more: calling the rest off would only leave it lying about.
	uncancelled, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	result, err := d.erase(uncancelled)
	if err != nil {
		d.explainFailure(ctx, err)
		return result, err
	}
	_, err = contract.RemoveExecution.Execute(d.long(uncancelled, "Remove the rows"), d.ref())
	if err != nil {
		d.explainFailure(ctx, err)
	} else {
		d.tell(uncancelled, domain.PhaseDone, "Deleted: %d objects removed, %d kept for other backups", result.Objects, result.Kept)
	}
	return result, err
}

// explainFailed is the change with which a deletion that did not get to its end says why.
const explainFailed = "explain-failed-deletion"

// explainFailure tells people, who see a backup that stays in the list as being deleted.
func (d *deletion) explainFailure(ctx workflow.Context, err error) {
	if workflow.GetVersion(ctx, explainFailed, workflow.DefaultVersion, 1) < 1 {
		return
	}
	d.explain(ctx, "the deletion did not get to its end, and will be tried again", "Record why it could not be deleted", err)
}

// erase removes the objects, on each location by a worker that reaches it.
func (d *deletion) erase(ctx workflow.Context) (total contract.DeleteResult, err error) {
	for _, place := range d.places {
		d.tell(ctx, domain.PhaseCleaning, "Removing what no other backup needs from %s", place.Name)
		there := workflow.WithTaskQueue(d.long(ctx, "Remove objects from "+place.Name), contract.TaskQueue(place.Pool))
		erased, err := contract.EraseBackup.Execute(there, contract.EraseInput{ExecutionID: d.in.ExecutionID, StorageID: place.StorageID})
		if err != nil {
			return total, err
		}
		total.Add(erased)
	}
	return total, nil
}
