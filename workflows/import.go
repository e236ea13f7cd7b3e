package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
)

// ImportStorage puts the backups that a storage location holds, and the catalogue does not know, back
// into the catalogue. Every backup is imported by itself and once: a repetition goes on.
func ImportStorage(ctx workflow.Context, in contract.ImportInput) (contract.ImportResult, error) {
	return contract.ImportBackups.Execute(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		Summary:                "Read the manifests on " + in.Labels.Storage,
		StartToCloseTimeout:    24 * time.Hour,
		ScheduleToCloseTimeout: 48 * time.Hour,
		HeartbeatTimeout:       waits().Silence,
		WaitForCancellation:    true,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute, MaximumAttempts: 10,
		},
	}), in)
}
