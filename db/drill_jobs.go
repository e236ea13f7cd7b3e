package db

import (
	"context"
	"errors"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// DrillJob says of which datasource the latest backup is proved, when, and where it is restored for that.
type DrillJob struct {
	ID                 string
	Name               string
	DatasourceID       string  // whose backups
	BackupJobID        *string // only those of this job; nil is any
	TargetDatasourceID string  // the server, or the folder, where the temporary database is made
	ScheduleCron       string  // "" is manual only
	ScheduleTimezone   string  // IANA name; "" is stored as UTC
	MaxBackupAgeHours  int32
	Enabled            bool
	DrillOptions       domain.DrillOptions
	LastExecutionAt    *time.Time
	NextExecutionAt    *time.Time
	Version            int64
	CreatedAt          time.Time
	UpdatedAt          time.Time
	SchedulePause      string // this and the rest as those of a backup job
	OverlapPolicy      domain.OverlapPolicy
	ScheduleSince      time.Time
	LastDueAt          *time.Time
}

// CreateDrillJob stores a new job; an empty ID is made up. Errors: DuplicateError; ReferenceError when what
// it names does not exist.
func (q *Queries) CreateDrillJob(ctx context.Context, j DrillJob) (DrillJob, error) {
	id, err := idOr(j.ID)
	if err != nil {
		return DrillJob{}, err
	}
	if err := q.seesDrill(ctx, "create drill job", j, ErrOutOfScope); err != nil {
		return DrillJob{}, err
	}
	row, err := q.q.CreateDrillJob(ctx, dbgen.CreateDrillJobParams{
		ID: id, Name: j.Name, DatasourceID: j.DatasourceID, BackupJobID: j.BackupJobID, TargetDatasourceID: j.TargetDatasourceID,
		ScheduleCron: j.ScheduleCron, ScheduleTimezone: timezoneOr(j.ScheduleTimezone), MaxBackupAgeHours: j.MaxBackupAgeHours,
		Enabled: j.Enabled, DrillOptions: j.DrillOptions, OverlapPolicy: overlapOr(j.OverlapPolicy),
	})
	return DrillJob(row), translate("create drill job", err)
}

// GetDrillJob reads one. Errors: ErrNotFound.
func (q *Queries) GetDrillJob(ctx context.Context, id string) (DrillJob, error) {
	op := "read drill job " + id
	if err := checkID(op, id); err != nil {
		return DrillJob{}, err
	}
	row, err := q.q.GetDrillJob(ctx, id)
	if err == nil {
		err = q.seesDrill(ctx, op, DrillJob(row), ErrNotFound)
	}
	if err != nil {
		return DrillJob{}, translate(op, err)
	}
	return DrillJob(row), nil
}

// seesDrill answers outside for a job that ctx does not see: it sees those that it sees all ends of.
func (q *Queries) seesDrill(ctx context.Context, op string, j DrillJob, outside error) error {
	return inScope(ctx, op, outside, func(scope []byte) (bool, error) {
		return q.q.DrillInScope(ctx, dbgen.DrillInScopeParams{
			Scope: scope, DatasourceID: j.DatasourceID, TargetDatasourceID: j.TargetDatasourceID, BackupJobID: j.BackupJobID,
		})
	})
}

// ListDrillJobs reads one page and the cursor of the next, "" on the last one.
func (q *Queries) ListDrillJobs(ctx context.Context, filter JobFilter, page Page) ([]DrillJob, string, error) {
	from, err := page.position()
	if err != nil || !filter.possible() {
		return []DrillJob{}, "", err
	}
	scope, err := scopeFor(ctx, domain.ScopeKinds()...)
	if err != nil {
		return nil, "", err
	}
	rows, err := q.q.ListDrillJobs(ctx, dbgen.ListDrillJobsParams{
		Scope: scope, OfDatasources: limitedTo(ctx, domain.ScopeDatasource), DatasourceID: unlessZero(filter.DatasourceID), BackupJobID: unlessZero(filter.BackupJobID),
		BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch(),
	})
	if err != nil {
		return nil, "", translate("list drill jobs", err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.RestoreDrillJob) (time.Time, string) { return r.CreatedAt, r.ID })
	out, err := convert(rows, func(r dbgen.RestoreDrillJob) (DrillJob, error) { return DrillJob(r), nil })
	return out, next, err
}

// UpdateDrillJob replaces everything but the times. Errors as UpdateSyncJob.
func (q *Queries) UpdateDrillJob(ctx context.Context, j DrillJob) (DrillJob, error) {
	op := "update drill job " + j.ID
	if err := checkID(op, j.ID); err != nil {
		return DrillJob{}, err
	}
	if err := q.seesDrill(ctx, op, j, ErrOutOfScope); err != nil {
		return DrillJob{}, err
	}
	row, err := q.q.UpdateDrillJob(ctx, dbgen.UpdateDrillJobParams{
		ID: j.ID, Name: j.Name, DatasourceID: j.DatasourceID, BackupJobID: j.BackupJobID, TargetDatasourceID: j.TargetDatasourceID,
		ScheduleCron: j.ScheduleCron, ScheduleTimezone: timezoneOr(j.ScheduleTimezone), MaxBackupAgeHours: j.MaxBackupAgeHours,
		Enabled: j.Enabled, DrillOptions: j.DrillOptions, SchedulePause: j.SchedulePause, OverlapPolicy: overlapOr(j.OverlapPolicy), ExpectedVersion: j.Version,
	})
	err = mismatchOr(translate(op, err), func() error { _, err := q.q.GetDrillJob(ctx, j.ID); return err })
	return DrillJob(row), err
}

// DeleteDrillJob deletes it; its runs stay, without a job. Errors as DeleteSyncJob.
func (q *Queries) DeleteDrillJob(ctx context.Context, id string) error {
	op := "delete drill job " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	return q.inTx(ctx, func(q *Queries) error {
		if _, err := q.q.LockDrillJob(ctx, id); err != nil {
			return translate(op, err)
		}
		holders, err := q.q.DrillJobHolders(ctx, dbgen.DrillJobHoldersParams{JobID: &id, MaxHolders: maxHolders})
		if err := refuseHeld(op, holders, err); err != nil {
			return err
		}
		_, err = q.q.DeleteDrillJob(ctx, id)
		return translate(op, err)
	})
}

// HoldLatestBackup finds the latest completed backup of a datasource, or of one job of it, and holds it as HoldBackup does.
// One whose deletion begins meanwhile is not the latest any more. Errors: ErrNotFound.
func (q *Queries) HoldLatestBackup(ctx context.Context, datasourceID string, jobID *string) (Execution, error) {
	op := "look for the latest backup of datasource " + datasourceID
	for {
		id, err := q.q.LatestBackup(ctx, dbgen.LatestBackupParams{DatasourceID: &datasourceID, JobID: jobID})
		if err != nil {
			return Execution{}, translate(op, err)
		}
		err = q.HoldBackup(ctx, id)
		if errors.Is(err, ErrDeleting) || errors.Is(err, ErrNotFound) {
			continue // the next look sees what made it so
		}
		if err != nil {
			return Execution{}, err
		}
		return q.GetExecution(ctx, id)
	}
}

// DrillTime is how long the restore of a good drill took.
type DrillTime struct {
	ExecutionID string
	At          time.Time
	Recovery    time.Duration
	Bytes       int64 // of the backup
}

// DrillTimes reads the recovery times of a job's last good drills, the newest first.
func (q *Queries) DrillTimes(ctx context.Context, jobID string, limit int32) ([]DrillTime, error) {
	op := "read the recovery times of drill job " + jobID
	if err := checkID(op, jobID); err != nil {
		return nil, err
	}
	rows, err := q.q.DrillTimes(ctx, dbgen.DrillTimesParams{JobID: &jobID, PageSize: limit})
	if err != nil {
		return nil, translate(op, err)
	}
	return convert(rows, func(r dbgen.DrillTimesRow) (DrillTime, error) {
		out := DrillTime{ExecutionID: r.ID, Recovery: time.Duration(r.RecoveryMs) * time.Millisecond, Bytes: r.Bytes}
		if r.FinishedAt != nil {
			out.At = *r.FinishedAt
		}
		return out, nil
	})
}
