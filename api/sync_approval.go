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

// approveSync uses up the approval of a job that overwrites something by a schedule, or deletes more of its backups. One approval
// is not good for both.
func approveSync(ctx context.Context, q *db.Queries, before, after db.SyncJob, ends syncEnds, changes map[string]any) error {
	schedule := overwritesBySchedule(before, after, ends)
	retention, err := deletesMore(ctx, q, before, after)
	if err != nil {
		return err
	}
	settings, err := q.ApprovalSettings(ctx)
	if err != nil {
		return err
	}
	if schedule != nil && retention != nil && settings.Needs(schedule.action) && settings.Needs(retention.action) {
		return invalidField("retention_policy", "deletes more backups, which another person must approve, and so does the rest of this change; change it by itself")
	}
	for _, i := range []*irreversible{schedule, retention} {
		if i == nil {
			continue
		}
		if err := approved(ctx, q, approvalOf(ctx), *i, changes); err != nil {
			return err
		}
	}
	return nil
}

// deletesMore is a change of a job's retention that deletes backups which it kept until now; nil for every other one.
func deletesMore(ctx context.Context, q *db.Queries, before, after db.SyncJob) (*irreversible, error) {
	if before.RetentionPolicy == after.RetentionPolicy {
		return nil, nil //nolint:nilnil // nothing to approve
	}
	backups, err := q.SyncBackups(ctx, after.ID)
	if err != nil {
		return nil, err
	}
	more := without(after.RetentionPolicy.BeyondCount(backups), before.RetentionPolicy.BeyondCount(backups))
	if len(more) == 0 {
		return nil, nil //nolint:nilnil // nothing to approve
	}
	return &irreversible{
		action: domain.ApproveDeleteBackup, permission: auth.DBSyncJobsWrite, resource: "db_sync_job", resourceID: after.ID,
		summary: fmt.Sprintf("Let retention of sync job %q delete %d more of its backups", after.Name, len(more)),
		request: map[string]any{"retention_policy": after.RetentionPolicy, "before": before.RetentionPolicy},
	}, nil
}

// overwritesBySchedule is a job that overwrites something when nobody is there to ask: it is asked for when somebody gives it the
// schedule, or changes what is overwritten by it, with what, and when. Nil for every other one.
func overwritesBySchedule(before, after db.SyncJob, ends syncEnds) *irreversible {
	if !overwritesAlone(after) || overwritesAlone(before) && sameCopy(before, after) {
		return nil
	}
	return &irreversible{
		action: domain.ApproveRestoreOverwrite, permission: auth.DBSyncJobsWrite, resource: "datasource", resourceID: ends.into.ID,
		summary: fmt.Sprintf("Let sync job %q copy %s into %s by schedule (%s, %s), replacing what is there each time",
			after.Name, ends.from.Name, ends.into.Name, after.ScheduleCron, after.ScheduleTimezone),
		request: map[string]any{
			"job_id": before.ID, "name": after.Name, "sync": after.Plan(), "versions": ends.versions(),
			"schedule_cron": after.ScheduleCron, "schedule_timezone": after.ScheduleTimezone,
		},
	}
}

func overwritesAlone(job db.SyncJob) bool {
	return job.Enabled && job.ScheduleCron != "" && job.DropExisting
}

// sameCopy reports whether the same is copied at the same times.
func sameCopy(before, after db.SyncJob) bool {
	return reflect.DeepEqual(before.Plan(), after.Plan()) &&
		before.ScheduleCron == after.ScheduleCron && before.ScheduleTimezone == after.ScheduleTimezone
}
