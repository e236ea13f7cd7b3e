package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
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

// probe: a test that fails is a result. Only a lost worker or database is tried again, and not for
// long: somebody waits for the answer.
func probe(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              shortQueue(ctx),
		Summary:                summary,
		StartToCloseTimeout:    45 * time.Second,
		ScheduleToCloseTimeout: 2 * time.Minute,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumAttempts: 3},
	})
}
