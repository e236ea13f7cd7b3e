package activities

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// BeginSync marks a run of a sync job as running; a scheduled one gets its row here.
func (a *Activities) BeginSync(ctx context.Context, in contract.BeginRunInput) (contract.RunPlan, error) {
	plan, err := a.beginSync(ctx, in)
	return plan, toTemporal(ctx, err)
}

func (a *Activities) beginSync(ctx context.Context, in contract.BeginRunInput) (contract.RunPlan, error) {
	id := in.RunID
	if id == "" {
		made, err := a.scheduledRun(ctx, db.RunSync, in, func() (runOfJob, error) {
			job, err := a.DB.GetSyncJob(ctx, in.JobID)
			plan := job.Plan()
			run := db.Run{JobID: &job.ID, Metadata: domain.RunMetadata{Sync: &plan}}
			return runOfJob{run, job.Enabled, job.ScheduleCron, job.ScheduleTimezone, job.OverlapPolicy}, err
		})
		if err != nil || made.Skip != "" {
			return made, err
		}
		id = made.RunID
	}
	run, plan, err := a.beginRun(ctx, db.RunSync, id, in)
	if err != nil {
		return plan, err
	}
	sync := run.Metadata.Sync
	plan.Direct = sync.StorageLocationID == ""
	plan.BackedUp = run.BackupExecutionID != nil && run.Metadata.RetryOf != ""
	plan.Labels, err = syncLabels(ctx, a.DB.Queries, run)
	return plan, err
}

// syncLabels are the names of what a sync works on.
func syncLabels(ctx context.Context, q *db.Queries, run db.Run) (contract.Labels, error) {
	sides, err := sidesOf(ctx, q, run)
	if err != nil {
		return contract.Labels{}, err
	}
	labels := contract.Labels{Datasource: sides.into.Name, Storage: "none, direct"}
	if run.JobID != nil {
		if job, err := q.GetSyncJob(ctx, *run.JobID); err == nil {
			labels.Job = job.Name
		}
	}
	if id := run.Metadata.Sync.StorageLocationID; id != "" {
		location, err := q.GetStorageLocation(ctx, id)
		if err != nil {
			return labels, err
		}
		labels.Storage = location.Name
	}
	return labels, nil
}

// syncSides are what a sync reads and what it overwrites.
type syncSides struct{ from, into db.Datasource }

func sidesOf(ctx context.Context, q *db.Queries, run db.Run) (s syncSides, err error) {
	if run.Metadata.Sync == nil {
		return s, failure.New(failure.ConfigInvalid, "read sync run "+run.ID, "it does not say what it copies", "")
	}
	if s.from, err = q.GetDatasource(ctx, run.Metadata.Sync.FromDatasourceID); err != nil {
		return s, err
	}
	s.into, err = q.GetDatasource(ctx, run.Metadata.Sync.IntoDatasourceID)
	return s, err
}

// PrepareSyncBackup makes the row of the backup, once.
func (a *Activities) PrepareSyncBackup(ctx context.Context, in contract.RunRef) (contract.Half, error) {
	var half contract.Half
	err := a.DB.InTx(ctx, func(q *db.Queries) error {
		run, err := q.LockRun(ctx, db.RunSync, in.RunID)
		if err != nil {
			return err
		}
		labels, err := syncLabels(ctx, q, run)
		if err != nil {
			return err
		}
		sides, err := sidesOf(ctx, q, run)
		if err != nil {
			return err
		}
		into := labels.Datasource
		labels.Datasource = sides.from.Name
		half = contract.Half{Labels: labels, Summary: fmt.Sprintf("Back up %s, to restore it into %s", sides.from.Name, into)}
		if run.BackupExecutionID != nil { // by an earlier try
			half.ExecutionID = *run.BackupExecutionID
			return nil
		}
		e := partOf(run, domain.TriggerSync, in.WorkflowID, "", newExecutionID())
		e.Metadata.WorkflowID = contract.BackupWorkflowID(e.ID)
		e.DatasourceID, e.StorageLocationID = &sides.from.ID, &run.Metadata.Sync.StorageLocationID
		e.BackupType, e.Metadata.Operation, e.Metadata.Options = domain.Full, domain.OperationBackup, run.Metadata.Sync.BackupOptions
		if e, err = q.CreateExecution(ctx, e); err != nil {
			return err
		}
		half.ExecutionID = e.ID
		return q.LinkRun(ctx, db.RunSync, run.ID, &e.ID, nil)
	})
	if err == nil {
		a.at("sync.backup_prepared")
		a.logRun(ctx, db.RunSync, in.RunID, "info", "%s: execution %s", half.Summary, half.ExecutionID)
	}
	return half, toTemporal(ctx, err)
}

// PrepareSyncRestore makes the row of the restore, once. From then on it holds the backup.
func (a *Activities) PrepareSyncRestore(ctx context.Context, in contract.RunRef) (contract.Half, error) {
	var half contract.Half
	err := a.DB.InTx(ctx, func(q *db.Queries) error {
		run, err := q.LockRun(ctx, db.RunSync, in.RunID)
		if err != nil {
			return err
		}
		labels, err := syncLabels(ctx, q, run)
		if err != nil {
			return err
		}
		sides, err := sidesOf(ctx, q, run)
		if err != nil {
			return err
		}
		half = contract.Half{Labels: labels, Summary: fmt.Sprintf("Restore %s into %s", sides.from.Name, sides.into.Name)}
		if run.RestoreExecutionID != nil {
			half.ExecutionID = *run.RestoreExecutionID
			return nil
		}
		e := partOf(run, domain.TriggerSync, in.WorkflowID, "", newExecutionID())
		e.Metadata.WorkflowID = contract.RestoreWorkflowID(e.ID)
		if err := a.fillSyncRestore(ctx, q, run, sides, &e); err != nil {
			return err
		}
		if e, err = q.CreateExecution(ctx, e); err != nil {
			return err
		}
		half.ExecutionID = e.ID
		return q.LinkRun(ctx, db.RunSync, run.ID, nil, &e.ID)
	})
	if err == nil {
		a.at("sync.restore_prepared")
		a.logRun(ctx, db.RunSync, in.RunID, "info", "%s: execution %s", half.Summary, half.ExecutionID)
	}
	return half, toTemporal(ctx, err)
}

// fillSyncRestore says what the restore of a sync does.
func (a *Activities) fillSyncRestore(ctx context.Context, q *db.Queries, run db.Run, sides syncSides, e *db.Execution) error {
	sync, options := run.Metadata.Sync, syncRestore(run, sides)
	e.DatasourceID, e.Metadata.Operation, e.Metadata.Restore = &sides.into.ID, domain.OperationRestore, &options
	if sync.StorageLocationID == "" {
		options.SourceDatasourceID, e.Metadata.Options = sides.from.ID, sync.BackupOptions
		return refuseRivals(ctx, q, options, e.ID)
	}
	if run.BackupExecutionID == nil {
		return failure.New(failure.NotFound, "restore the backup of sync run "+run.ID, "it is gone", "Run the sync again.")
	}
	if err := q.HoldBackup(ctx, *run.BackupExecutionID); err != nil {
		return failure.Wrap(failure.NotFound, "restore the backup of sync run "+run.ID, err, "Run the sync again.")
	}
	backup, err := q.GetExecution(ctx, *run.BackupExecutionID)
	if err != nil {
		return err
	}
	options.SourceExecutionID = backup.ID
	e.StorageLocationID, e.BackupType = backup.StorageLocationID, backup.BackupType
	options.Databases = domain.RestorableDatabases(sides.into.Type, backup.Metadata.Databases)
	return refuseRivals(ctx, q, options, e.ID)
}

// syncRestore is what the restore of a sync does, whatever it reads.
func syncRestore(run db.Run, sides syncSides) domain.RestoreOptions {
	return domain.RestoreOptions{
		TargetDatasourceID: sides.into.ID, TargetDatabase: sides.into.Config.Target(sides.into.Type), DropExisting: run.Metadata.Sync.DropExisting,
		PostRestoreSQL: run.Metadata.Sync.SyncOptions.PostRestoreSQL, RefuseEmpty: true,
	}
}

// refuseRivals refuses to write a database that another restore is about to write.
func refuseRivals(ctx context.Context, q *db.Queries, options domain.RestoreOptions, id string) error {
	rival, err := q.RestoreRival(ctx, options, id)
	if err != nil || rival == "" {
		return err
	}
	return failure.New(failure.ConfigInvalid, "restore into the target of the sync", "restore "+rival+" is writing it", "Run the sync again when that has ended.")
}

// FinishSync records how a run ended.
func (a *Activities) FinishSync(ctx context.Context, in contract.FinishRunInput) (contract.Nothing, error) {
	return contract.Nothing{}, a.finishRun(ctx, db.RunSync, in, nil)
}

// ExpireSyncBackups lists the backups that the job's retention does not keep: all but the newest ones.
func (a *Activities) ExpireSyncBackups(ctx context.Context, in contract.RunRef) (contract.ExpiredSyncBackups, error) {
	expired, err := a.expiredBackups(ctx, in.RunID)
	return contract.ExpiredSyncBackups{Backups: expired}, toTemporal(ctx, err)
}

func (a *Activities) expiredBackups(ctx context.Context, id string) ([]string, error) {
	run, err := a.DB.GetRun(ctx, db.RunSync, id)
	if err != nil || run.JobID == nil {
		return nil, err
	}
	job, err := a.DB.GetSyncJob(ctx, *run.JobID)
	if err != nil {
		return nil, err
	}
	backups, err := a.DB.SyncBackups(ctx, job.ID)
	return job.RetentionPolicy.BeyondCount(backups), err
}

// newExecutionID is a UUIDv7: ids sort by the time they were made.
func newExecutionID() string { return uuid.Must(uuid.NewV7()).String() }
