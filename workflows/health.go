package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
)

// CheckDatasource tests the connection to one datasource and records the outcome.
func CheckDatasource(ctx workflow.Context, in contract.CheckInput) (contract.CheckResult, error) {
	return contract.ProbeDatasource.Execute(probe(ctx, "Connect to "+in.Labels.Datasource), in)
}

// CheckStorage writes, reads back, lists and deletes a probe object, and records the outcome.
func CheckStorage(ctx workflow.Context, in contract.CheckInput) (contract.CheckResult, error) {
	return contract.ProbeStorage.Execute(probe(ctx, "Write and read a probe on "+in.Labels.Storage), in)
}
