package db

import (
	"context"
	"errors"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// SyncJob says which datasource is copied into which other one, when and how.
type SyncJob struct {
	ID                 string
	Name               string
	SourceDatasourceID string
	TargetDatasourceID string
	StorageLocationID  *string // nil: the dump streams straight into the restore
	ScheduleCron       string  // "" is manual only
	ScheduleTimezone   string  // IANA name; "" is stored as UTC
	OverwriteDirection domain.SyncDirection
	DropExisting       bool
	RunOnManual        bool // a run by hand is allowed
	Enabled            bool
	RetentionPolicy    domain.RetentionPolicy // of the backups in between
	BackupOptions      domain.BackupOptions
	LastExecutionAt    *time.Time
	NextExecutionAt    *time.Time
	Version            int64
	CreatedAt          time.Time
	UpdatedAt          time.Time
	SyncOptions        domain.SyncOptions
	SchedulePause      string // this and the rest as those of a backup job
	OverlapPolicy      domain.OverlapPolicy
	ScheduleSince      time.Time
	LastDueAt          *time.Time
}

// From is the datasource that is read.
func (j SyncJob) From() string {
	if j.OverwriteDirection == domain.TargetToSource {
		return j.TargetDatasourceID
	}
	return j.SourceDatasourceID
}

// Into is the datasource that is overwritten.
func (j SyncJob) Into() string {
	if j.OverwriteDirection == domain.TargetToSource {
		return j.SourceDatasourceID
	}
	return j.TargetDatasourceID
}

// Plan is what a run of the job copies where, as it is now.
func (j SyncJob) Plan() domain.SyncPlan {
	plan := domain.SyncPlan{
		FromDatasourceID: j.From(), IntoDatasourceID: j.Into(), DropExisting: j.DropExisting,
		BackupOptions: &j.BackupOptions, SyncOptions: j.SyncOptions,
	}
	if j.StorageLocationID != nil {
		plan.StorageLocationID = *j.StorageLocationID
	}
	return plan
}

// CreateSyncJob stores a new job; an empty ID is made up. Errors: DuplicateError; ReferenceError when what
// it names does not exist.
func (q *Queries) CreateSyncJob(ctx context.Context, j SyncJob) (SyncJob, error) {
	id, err := idOr(j.ID)
	if err != nil {
		return SyncJob{}, err
	}
	if err := q.seesSync(ctx, "create sync job", j, ErrOutOfScope); err != nil {
		return SyncJob{}, err
	}
	row, err := q.q.CreateSyncJob(ctx, dbgen.CreateSyncJobParams{
		ID: id, Name: j.Name, SourceDatasourceID: j.SourceDatasourceID, TargetDatasourceID: j.TargetDatasourceID,
		StorageLocationID: j.StorageLocationID, ScheduleCron: j.ScheduleCron, ScheduleTimezone: timezoneOr(j.ScheduleTimezone),
		OverwriteDirection: j.OverwriteDirection, DropExisting: j.DropExisting, RunOnManual: j.RunOnManual, Enabled: j.Enabled,
		RetentionPolicy: j.RetentionPolicy, BackupOptions: j.BackupOptions, SyncOptions: j.SyncOptions, OverlapPolicy: overlapOr(j.OverlapPolicy),
	})
	return SyncJob(row), translate("create sync job", err)
}

// GetSyncJob reads one. Errors: ErrNotFound.
func (q *Queries) GetSyncJob(ctx context.Context, id string) (SyncJob, error) {
	op := "read sync job " + id
	if err := checkID(op, id); err != nil {
		return SyncJob{}, err
	}
	row, err := q.q.GetSyncJob(ctx, id)
	if err == nil {
		err = q.seesSync(ctx, op, SyncJob(row), ErrNotFound)
	}
	if err != nil {
		return SyncJob{}, translate(op, err)
	}
	return SyncJob(row), nil
}

// seesSync answers outside for a job that ctx does not see: it sees those that it sees all ends of.
func (q *Queries) seesSync(ctx context.Context, op string, j SyncJob, outside error) error {
	return inScope(ctx, op, outside, func(scope []byte) (bool, error) {
		return q.q.SyncInScope(ctx, dbgen.SyncInScopeParams{
			Scope: scope, SourceDatasourceID: j.SourceDatasourceID, TargetDatasourceID: j.TargetDatasourceID, StorageLocationID: j.StorageLocationID,
		})
	})
}

// JobFilter narrows a list of sync or drill jobs; an empty field does not. DatasourceID is that of either
// side.
type JobFilter struct {
	DatasourceID      string
	StorageLocationID string // sync jobs
	BackupJobID       string // drill jobs
}

// possible reports whether the filter names nothing that can not be.
func (f JobFilter) possible() bool {
	for _, id := range []string{f.DatasourceID, f.StorageLocationID, f.BackupJobID} {
		if id != "" && !isID(id) {
			return false
		}
	}
	return true
}

// ListSyncJobs reads one page and the cursor of the next, "" on the last one.
func (q *Queries) ListSyncJobs(ctx context.Context, filter JobFilter, page Page) ([]SyncJob, string, error) {
	from, err := page.position()
	if err != nil || !filter.possible() {
		return []SyncJob{}, "", err
	}
	scope, err := scopeFor(ctx, domain.ScopeKinds()...)
	if err != nil {
		return nil, "", err
	}
	rows, err := q.q.ListSyncJobs(ctx, dbgen.ListSyncJobsParams{
		Scope: scope, OfDatasources: limitedTo(ctx, domain.ScopeDatasource), DatasourceID: unlessZero(filter.DatasourceID), StorageLocationID: unlessZero(filter.StorageLocationID),
		BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch(),
	})
	if err != nil {
		return nil, "", translate("list sync jobs", err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.DatabaseSyncJob) (time.Time, string) { return r.CreatedAt, r.ID })
	out, err := convert(rows, func(r dbgen.DatabaseSyncJob) (SyncJob, error) { return SyncJob(r), nil })
	return out, next, err
}

// nobody is the id of no row.
const nobody = "00000000-0000-0000-0000-000000000000"

// OtherEnabledSyncJobs lists the enabled jobs but for one, and keeps others from saving one until the
// transaction ends.
func (q *Queries) OtherEnabledSyncJobs(ctx context.Context, except string) ([]SyncJob, error) {
	const op = "list enabled sync jobs"
	if err := q.q.LockSyncJobs(ctx); err != nil {
		return nil, translate(op, err)
	}
	if except == "" {
		except = nobody
	}
	rows, err := q.q.ListEnabledSyncJobs(ctx, except)
	if err != nil {
		return nil, translate(op, err)
	}
	return convert(rows, func(r dbgen.DatabaseSyncJob) (SyncJob, error) { return SyncJob(r), nil })
}

// UpdateSyncJob replaces everything but the times. j.Version is the version that was read; 0 overwrites
// whatever is there. Errors: ErrNotFound, ErrVersionMismatch, DuplicateError, ReferenceError.
func (q *Queries) UpdateSyncJob(ctx context.Context, j SyncJob) (SyncJob, error) {
	op := "update sync job " + j.ID
	if err := checkID(op, j.ID); err != nil {
		return SyncJob{}, err
	}
	if err := q.seesSync(ctx, op, j, ErrOutOfScope); err != nil {
		return SyncJob{}, err
	}
	row, err := q.q.UpdateSyncJob(ctx, dbgen.UpdateSyncJobParams{
		ID: j.ID, Name: j.Name, SourceDatasourceID: j.SourceDatasourceID, TargetDatasourceID: j.TargetDatasourceID,
		StorageLocationID: j.StorageLocationID, ScheduleCron: j.ScheduleCron, ScheduleTimezone: timezoneOr(j.ScheduleTimezone),
		OverwriteDirection: j.OverwriteDirection, DropExisting: j.DropExisting, RunOnManual: j.RunOnManual, Enabled: j.Enabled,
		RetentionPolicy: j.RetentionPolicy, BackupOptions: j.BackupOptions, SyncOptions: j.SyncOptions, SchedulePause: j.SchedulePause,
		OverlapPolicy: overlapOr(j.OverlapPolicy), ExpectedVersion: j.Version,
	})
	err = mismatchOr(translate(op, err), func() error { _, err := q.q.GetSyncJob(ctx, j.ID); return err })
	return SyncJob(row), err
}

// DeleteSyncJob deletes it; its runs stay, without a job. Errors: ErrNotFound; InUseError while one of its
// runs is queued or running.
func (q *Queries) DeleteSyncJob(ctx context.Context, id string) error {
	op := "delete sync job " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	return q.inTx(ctx, func(q *Queries) error {
		if _, err := q.q.LockSyncJob(ctx, id); err != nil {
			return translate(op, err)
		}
		holders, err := q.q.SyncJobHolders(ctx, dbgen.SyncJobHoldersParams{JobID: &id, MaxHolders: maxHolders})
		if err := refuseHeld(op, holders, err); err != nil {
			return err
		}
		_, err = q.q.DeleteSyncJob(ctx, id)
		return translate(op, err)
	})
}

// SyncJobOfBackup is the id of the sync job whose run made a backup, "" when no job of now did.
func (q *Queries) SyncJobOfBackup(ctx context.Context, backupID string) (string, error) {
	op := "find the sync job of backup " + backupID
	if err := checkID(op, backupID); err != nil {
		return "", err
	}
	id, err := q.q.SyncJobOfBackup(ctx, &backupID)
	if err = translate(op, err); errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return id, err
}

// SyncBackups lists the completed backups that runs of a sync job made, the newest first, but for pinned ones and those
// that are being deleted.
func (q *Queries) SyncBackups(ctx context.Context, jobID string) ([]string, error) {
	op := "list the backups of sync job " + jobID
	if err := checkID(op, jobID); err != nil {
		return nil, err
	}
	ids, err := q.q.SyncBackups(ctx, &jobID)
	return ids, translate(op, err)
}
