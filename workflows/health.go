package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// CheckDatasource tests the connection to one datasource and records the outcome.
func CheckDatasource(ctx workflow.Context, in contract.CheckInput) (contract.CheckResult, error) {
	return contract.ProbeDatasource.Execute(probe(ctx, "Connect to "+in.Labels.Datasource), in)
}

// CheckStorage writes, reads back, lists and deletes a probe object, and records the outcome. Without an id every pool's workers do so for
// the storage locations that they reach; a pool without a worker is CheckHealth's to tell.
func CheckStorage(ctx workflow.Context, in contract.CheckInput) (contract.CheckResult, error) {
	if in.ID == "" {
		h := newHealth(domain.CheckedStorage)
		err := h.checkPools(ctx)
		return contract.CheckResult{All: &h.report}, err
	}
	return contract.ProbeStorage.Execute(probe(ctx, "Write and read a probe on "+in.Labels.Storage), in)
}
