package api

import (
	"context"
	"fmt"
	"reflect"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// overwrites is what another person may have to approve of a run by hand: that it replaces what is there, as a restore
// does. Nil for one whose target must be empty.
func (e syncEnds) overwrites(run db.Run) *irreversible {
	plan := run.Metadata.Sync
	if !plan.DropExisting {
		return nil
	}
	return &irreversible{
		action: domain.ApproveRestoreOverwrite, permission: auth.DBSyncJobsRun, resource: "db_sync_job", resourceID: *run.JobID,
		summary: fmt.Sprintf("Copy %s into %s, replacing what is there", e.from.Name, e.into.Name),
		request: map[string]any{"sync": plan, "retry_of": run.Metadata.RetryOf, "versions": e.versions()},
	}
}

// versions are those of both ends: another version may be another server.
func (e syncEnds) versions() map[string]int64 {
	return map[string]int64{"from": e.from.Version, "into": e.into.Version}
}

// approveSchedule uses up the approval of a job that overwrites something by a schedule: nobody is there to ask when it
// runs, so it is asked when somebody gives it the schedule, or changes what its schedule overwrites, and with what.
func approveSchedule(ctx context.Context, q *db.Queries, before, after db.SyncJob, ends syncEnds, changes map[string]any) error {
	if !overwritesAlone(after) || overwritesAlone(before) && sameCopy(before, after) {
		return nil
	}
	return approved(ctx, q, approvalOf(ctx), irreversible{
		action: domain.ApproveRestoreOverwrite, permission: auth.DBSyncJobsWrite, resource: "datasource", resourceID: ends.into.ID,
		summary: fmt.Sprintf("Let sync job %q copy %s into %s by schedule (%s, %s), replacing what is there each time",
			after.Name, ends.from.Name, ends.into.Name, after.ScheduleCron, after.ScheduleTimezone),
		request: map[string]any{
			"job_id": before.ID, "name": after.Name, "sync": after.Plan(), "versions": ends.versions(),
			"schedule_cron": after.ScheduleCron, "schedule_timezone": after.ScheduleTimezone,
		},
	}, changes)
}

func overwritesAlone(job db.SyncJob) bool {
	return job.Enabled && job.ScheduleCron != "" && job.DropExisting
}

func sameCopy(before, after db.SyncJob) bool {
	return reflect.DeepEqual(before.Plan(), after.Plan())
}
