package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// drillsCompared is how many drills a new one is compared with.
const drillsCompared = 10

// BeginDrill marks a run of a drill job as running; a scheduled one gets its row here.
func (a *Activities) BeginDrill(ctx context.Context, in contract.BeginRunInput) (contract.RunPlan, error) {
	plan, err := a.beginDrill(ctx, in)
	return plan, toTemporal(ctx, err)
}

func (a *Activities) beginDrill(ctx context.Context, in contract.BeginRunInput) (contract.RunPlan, error) {
	id := in.RunID
	if id == "" {
		made, err := a.scheduledRun(ctx, db.RunDrill, in, func() (runOfJob, error) {
			job, err := a.DB.GetDrillJob(ctx, in.JobID)
			return runOfJob{db.Run{JobID: &job.ID}, job.Enabled, job.ScheduleCron, job.ScheduleTimezone, job.OverlapPolicy}, err
		})
		if err != nil || made.Skip != "" {
			return made, err
		}
		id = made.RunID
	}
	_, plan, err := a.beginRun(ctx, db.RunDrill, id, in)
	if err != nil {
		return plan, err
	}
	job, err := a.DB.GetDrillJob(ctx, in.JobID)
	if err != nil {
		return plan, err
	}
	target, err := a.DB.GetDatasource(ctx, job.TargetDatasourceID)
	plan.Labels = contract.Labels{Job: job.Name, Datasource: target.Name, Storage: "that of the backup"}
	return plan, err
}

// PrepareDrill chooses the backup and makes the row of its restore, once. From then on that holds the backup.
func (a *Activities) PrepareDrill(ctx context.Context, in contract.RunRef) (contract.Half, error) {
	half, err := a.prepareDrill(ctx, in)
	if err == nil {
		a.at("drill.restore_prepared")
		a.logRun(ctx, db.RunDrill, in.RunID, "info", "%s: execution %s", half.Summary, half.ExecutionID)
	}
	return half, toTemporal(ctx, err)
}

func (a *Activities) prepareDrill(ctx context.Context, in contract.RunRef) (half contract.Half, err error) {
	err = a.DB.InTx(ctx, func(q *db.Queries) error {
		run, err := q.LockRun(ctx, db.RunDrill, in.RunID)
		if err != nil {
			return err
		}
		if run.JobID == nil {
			return failure.New(failure.NotFound, "begin the drill", "its job is gone", "")
		}
		job, err := q.GetDrillJob(ctx, *run.JobID)
		if err != nil {
			return err
		}
		target, err := q.GetDatasource(ctx, job.TargetDatasourceID)
		if err != nil {
			return err
		}
		half.Labels = contract.Labels{Job: job.Name, Datasource: target.Name}
		half.Summary = "Prove that a backup restores, on " + target.Name
		if run.RestoreExecutionID != nil { // by an earlier try
			half.ExecutionID = *run.RestoreExecutionID
			return nil
		}
		e := partOf(run, domain.TriggerDrill, in.WorkflowID, "", newExecutionID())
		e.Metadata.WorkflowID = contract.RestoreWorkflowID(e.ID)
		backup, location, err := a.drillBackup(ctx, q, job, target)
		if err != nil {
			return err
		}
		half.Labels.Storage = location.Name
		half.Summary = fmt.Sprintf("Prove that backup %s restores, on %s", backup.ID, target.Name)
		half.ExecutionID = e.ID
		return a.addDrillRestore(ctx, q, run, job, backup, location.ID, e)
	})
	return half, err
}

// drillBackup finds the latest backup that is young enough, and the best copy of it that is in reach.
func (a *Activities) drillBackup(ctx context.Context, q *db.Queries, job db.DrillJob, target db.Datasource) (backup db.Execution, location db.StorageLocation, err error) {
	const op = "choose the backup to prove"
	source, err := q.GetDatasource(ctx, job.DatasourceID)
	if err != nil {
		return backup, location, err
	}
	whose := "datasource " + quoted(source.Name)
	if !target.Enabled {
		return backup, location, failure.New(failure.ConfigInvalid, op, fmt.Sprintf("datasource %q, where it would be restored, is disabled", target.Name), "Enable it, or change the drill job.")
	}
	backup, err = q.HoldLatestBackup(ctx, source.ID, job.BackupJobID)
	if errors.Is(err, db.ErrNotFound) {
		return backup, location, failure.New(failure.NotFound, op, whose+" has no completed backup", "Run its backup job, and look at why it has not succeeded.")
	}
	if err != nil {
		return backup, location, err
	}
	if age := time.Since(madeAt(backup)); age > time.Duration(job.MaxBackupAgeHours)*time.Hour {
		return backup, location, failure.New(failure.NotFound, op, fmt.Sprintf("the latest backup of %s, %s, is %.1f hours old, and max_backup_age_hours is %d",
			whose, backup.ID, age.Hours(), job.MaxBackupAgeHours), "Look at why its backup job has not run or has not succeeded since.")
	}
	copies, err := q.ReadableCopies(ctx, backup.ID, target.Pool)
	if err != nil {
		return backup, location, err
	}
	if len(copies) == 0 {
		return backup, location, failure.New(failure.ConfigInvalid, op, fmt.Sprintf("backup %s is on no enabled storage location of pool %q, where datasource %q is", backup.ID, target.Pool, target.Name),
			"Enable the storage location, or choose a target datasource in its pool.")
	}
	location, err = q.GetStorageLocation(ctx, copies[0].StorageLocationID)
	return backup, location, err
}

// madeAt is what a backup's age counts from: what is in it is from before its beginning.
func madeAt(backup db.Execution) time.Time {
	if backup.StartedAt != nil {
		return *backup.StartedAt
	}
	return backup.CreatedAt
}

func (a *Activities) addDrillRestore(ctx context.Context, q *db.Queries, run db.Run, job db.DrillJob, backup db.Execution, storageID string, e db.Execution) error {
	e.DatasourceID, e.StorageLocationID, e.BackupType = &job.TargetDatasourceID, &storageID, backup.BackupType
	e.Metadata.Operation, e.Metadata.Restore = domain.OperationRestore, &domain.RestoreOptions{
		SourceExecutionID: backup.ID, TargetDatasourceID: job.TargetDatasourceID, VerificationMode: true,
		Databases: backup.Metadata.Databases, Checks: &job.DrillOptions,
	}
	created, err := q.CreateExecution(ctx, e)
	if err != nil {
		return err
	}
	report := domain.DrillReport{
		BackupAgeSeconds: int64(time.Since(madeAt(backup)).Seconds()), BackupBytes: backup.SizeBytes, TargetDatasourceID: job.TargetDatasourceID,
	}
	if err := q.SetRunPart(ctx, db.RunDrill, run.ID, "drill", report); err != nil {
		return err
	}
	return q.LinkRun(ctx, db.RunDrill, run.ID, &backup.ID, &created.ID)
}

// FinishDrill records how a run ended, and compares its recovery time with those before.
func (a *Activities) FinishDrill(ctx context.Context, in contract.FinishRunInput) (contract.Nothing, error) {
	return contract.Nothing{}, a.finishRun(ctx, db.RunDrill, in, func(q *db.Queries, run db.Run) error {
		report, err := drillReport(ctx, q, run, time.Duration(in.RecoveryMS)*time.Millisecond)
		if err != nil {
			return err
		}
		return q.SetRunPart(ctx, db.RunDrill, run.ID, "drill", report)
	})
}

// drillReport adds to the report of a run what is known at its end.
func drillReport(ctx context.Context, q *db.Queries, run db.Run, recovery time.Duration) (domain.DrillReport, error) {
	var report domain.DrillReport
	if run.Metadata.Drill != nil {
		report = *run.Metadata.Drill
	}
	if run.RestoreExecutionID != nil {
		restored, err := q.GetExecution(ctx, *run.RestoreExecutionID)
		if err != nil && !errors.Is(err, db.ErrNotFound) {
			return report, err
		}
		if done := restored.Metadata.RestoreReport; done != nil {
			report.Checks = done.Checks
		}
	}
	if run.Status != domain.Completed || run.JobID == nil {
		return report, nil
	}
	report.RecoverySeconds = recovery.Seconds()
	times, err := q.DrillTimes(ctx, *run.JobID, drillsCompared+1)
	if err != nil {
		return report, err
	}
	var sum time.Duration
	count := 0
	for _, t := range times {
		if t.ExecutionID != run.ID && count < drillsCompared {
			sum += t.Recovery
			count++
		}
	}
	if count > 0 && sum > 0 {
		report.MeanSeconds = sum.Seconds() / float64(count)
		report.ChangePercent = (recovery.Seconds()/report.MeanSeconds - 1) * 100
	}
	return report, nil
}
