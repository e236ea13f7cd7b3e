package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// What a restore does besides when it is a part of a sync or a drill.

// copyDirectly loads the dump of another datasource beside the target while it is made. A try after a failed
// one begins again from nothing.
func (r *restore) copyDirectly(ctx workflow.Context) error {
	r.tell(ctx, domain.PhaseLoading, "Copying into a new database on %s, with nothing stored in between", r.in.Labels.Datasource)
	var err error
	r.staged, err = contract.CopyDirectly.Execute(r.long(ctx, "Copy beside the target on "+r.in.Labels.Datasource), r.ref())
	return err
}

// checkRestored checks what a drill loaded.
func (r *restore) checkRestored(ctx workflow.Context) error {
	r.tell(ctx, domain.PhaseChecking, "Checking the restored data on %s", r.in.Labels.Datasource)
	_, err := contract.CheckRestored.Execute(r.long(ctx, "Check the restored data"), contract.CheckRestoredInput{
		ExecutionID: r.in.ExecutionID, Staging: r.staged.Staging, Tables: r.staged.Tables,
	})
	return err
}
