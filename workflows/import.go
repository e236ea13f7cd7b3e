package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
)

// ImportStorage puts the backups that a storage location holds, and the catalogue does not know, back
// into the catalogue. Every backup is imported by itself and once: a repetition goes on.
func ImportStorage(ctx workflow.Context, in contract.ImportInput) (contract.ImportResult, error) {
	return contract.ImportBackups.Execute(reading(ctx, "Read the manifests on "+in.Labels.Storage), in)
}
