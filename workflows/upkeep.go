package workflows

import (
	"fmt"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
)

// Upkeep compares the platform with Temporal and puts right what differs: schedules that are not as the jobs want them,
// executions and deletions that lost their workflow, rows that are too old. A step that fails does not
// keep the others from being done.
func Upkeep(ctx workflow.Context, _ contract.Nothing) (contract.UpkeepReport, error) {
	var report contract.UpkeepReport
	var first error
	step := func(name string, err error) {
		if err == nil {
			return
		}
		if first == nil {
			first = err
		}
		report.Failed = append(report.Failed, name+": "+outcome(err).Message)
	}
	var err error
	report.Schedules, err = contract.EnsureSchedules.Execute(upkeep(ctx, "Compare the schedules with the jobs"), contract.Nothing{})
	step("schedules", err)
	report.Sweep, err = contract.SweepExecutions.Execute(upkeep(ctx, "Look for executions without a workflow"), contract.Nothing{})
	step("executions", err)
	report.Pruned, err = contract.PruneCatalogue.Execute(upkeep(ctx, "Remove what is too old"), contract.Nothing{})
	step("pruning", err)
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("%d jobs: %d schedules made, %d corrected, %d removed, %d paused in Temporal. %d executions closed, %d deletions resumed.",
		report.Schedules.Jobs, report.Schedules.Made, report.Schedules.Corrected, report.Schedules.Removed, report.Schedules.Paused,
		report.Sweep.Closed, report.Sweep.Deletions))
	return report, first
}
