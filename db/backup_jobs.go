package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// BackupJob says what is backed up where, when and how. BackupOptions hold their secrets in plain text: they are sealed on the
// way in and opened on the way out.
type BackupJob struct {
	ID                string
	Name              string
	DatasourceID      string
	StorageLocationID string
	ScheduleCron      string // "" is manual only
	ScheduleTimezone  string // IANA name; "" is stored as UTC
	Enabled           bool
	RetentionPolicy   domain.RetentionPolicy
	BackupOptions     domain.BackupOptions
	LastExecutionAt   *time.Time
	NextExecutionAt   *time.Time
	Version           int64
	CreatedAt         time.Time
	UpdatedAt         time.Time
	OverlapPolicy     domain.OverlapPolicy // "" is stored as skip
	SchedulePause     string               // why its schedule is paused in Temporal although it is enabled, "" it is not
	ScheduleSince     time.Time            // since when it has been enabled with this cron and time zone
	LastDueAt         *time.Time           // when the newest run that its schedule has started was due, also one that did not take place
}

// CreateBackupJob stores a new job; an empty ID is made up. Errors: DuplicateError; ReferenceError
// when its datasource or storage location does not exist.
func (q *Queries) CreateBackupJob(ctx context.Context, j BackupJob) (BackupJob, error) {
	id, err := idOr(j.ID)
	if err != nil {
		return BackupJob{}, err
	}
	if err := checkJobReferences(j); err != nil {
		return BackupJob{}, err
	}
	if err := q.jobMakeable(ctx, id, j); err != nil {
		return BackupJob{}, err
	}
	options, err := q.sealOptions(id, j.BackupOptions)
	if err != nil {
		return BackupJob{}, err
	}
	var row dbgen.BackupJob
	err = q.inSealingTx(ctx, func(q *Queries) error {
		row, err = q.q.CreateBackupJob(ctx, dbgen.CreateBackupJobParams{
			ID: id, Name: j.Name, DatasourceID: j.DatasourceID, StorageLocationID: j.StorageLocationID, ScheduleCron: j.ScheduleCron,
			ScheduleTimezone: timezoneOr(j.ScheduleTimezone), Enabled: j.Enabled, RetentionPolicy: j.RetentionPolicy, BackupOptions: options,
			OverlapPolicy: overlapOr(j.OverlapPolicy), NextExecutionAt: j.NextExecutionAt,
		})
		return translate("create backup job", err)
	})
	if err != nil {
		return BackupJob{}, err
	}
	return q.backupJob(row)
}

// jobMakeable checks a new job against the scope of ctx. A job has the tags of its datasource.
func (q *Queries) jobMakeable(ctx context.Context, id string, j BackupJob) error {
	if scopeOf(ctx) == nil {
		return nil
	}
	belongs := ofJob(&j.DatasourceID, &j.StorageLocationID, &id)
	if datasource, err := q.q.GetDatasource(ctx, j.DatasourceID); err == nil {
		belongs[domain.ScopeBackupJob] = domain.Resource{ID: id, Tags: datasource.Tags}
	}
	return makeable(ctx, belongs)
}

// GetBackupJob reads one. Errors: ErrNotFound.
func (q *Queries) GetBackupJob(ctx context.Context, id string) (BackupJob, error) {
	op := "read backup job " + id
	if err := checkID(op, id); err != nil {
		return BackupJob{}, err
	}
	row, err := q.q.GetBackupJob(ctx, id)
	if err != nil {
		return BackupJob{}, translate(op, err)
	}
	if err := seen(ctx, op, ofJob(&row.DatasourceID, &row.StorageLocationID, &row.ID)); err != nil {
		return BackupJob{}, err
	}
	return q.backupJob(row)
}

// ListBackupJobs reads one page and the cursor of the next, "" on the last one.
func (q *Queries) ListBackupJobs(ctx context.Context, page Page) ([]BackupJob, string, error) {
	from, err := page.position()
	if err != nil {
		return nil, "", err
	}
	scope, err := scopeFor(ctx, domain.ScopeKinds()...)
	if err != nil {
		return nil, "", err
	}
	rows, err := q.q.ListBackupJobs(ctx, dbgen.ListBackupJobsParams{Scope: scope, OfDatasources: limitedTo(ctx, domain.ScopeDatasource), BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch()})
	if err != nil {
		return nil, "", translate("list backup jobs", err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.BackupJob) (time.Time, string) { return r.CreatedAt, r.ID })
	out, err := convert(rows, q.backupJob)
	return out, next, err
}

// UpdateBackupJob replaces everything but the times of the past. j.Version is the version that was read; 0
// overwrites whatever is there. Errors: ErrNotFound, ErrVersionMismatch, DuplicateError,
// ReferenceError.
func (q *Queries) UpdateBackupJob(ctx context.Context, j BackupJob) (BackupJob, error) {
	op := "update backup job " + j.ID
	if err := checkID(op, j.ID); err != nil {
		return BackupJob{}, err
	}
	if err := checkJobReferences(j); err != nil {
		return BackupJob{}, err
	}
	options, err := q.sealOptions(j.ID, j.BackupOptions)
	if err != nil {
		return BackupJob{}, err
	}
	var row dbgen.BackupJob
	err = q.inSealingTx(ctx, func(q *Queries) error {
		row, err = q.q.UpdateBackupJob(ctx, dbgen.UpdateBackupJobParams{
			ID: j.ID, Name: j.Name, DatasourceID: j.DatasourceID, StorageLocationID: j.StorageLocationID, ScheduleCron: j.ScheduleCron,
			ScheduleTimezone: timezoneOr(j.ScheduleTimezone), Enabled: j.Enabled, RetentionPolicy: j.RetentionPolicy,
			BackupOptions: options, OverlapPolicy: overlapOr(j.OverlapPolicy), NextExecutionAt: j.NextExecutionAt,
			SchedulePause: j.SchedulePause, ExpectedVersion: j.Version,
		})
		return mismatchOr(translate(op, err), func() error { _, err := q.q.GetBackupJob(ctx, j.ID); return err })
	})
	if err != nil {
		return BackupJob{}, err
	}
	return q.backupJob(row)
}

func (q *Queries) backupJob(row dbgen.BackupJob) (BackupJob, error) {
	j := BackupJob(row)
	var err error
	j.BackupOptions, err = q.openOptions(j.ID, j.BackupOptions)
	return j, err
}

// DeleteBackupJob deletes it; its executions and their backups stay, without a job. Errors:
// ErrNotFound; InUseError while one of its executions is queued or running.
func (q *Queries) DeleteBackupJob(ctx context.Context, id string) error {
	op := "delete backup job " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	return q.inTx(ctx, func(q *Queries) error {
		if _, err := q.q.LockBackupJob(ctx, id); err != nil {
			return translate(op, err)
		}
		holders, err := q.q.BackupJobHolders(ctx, dbgen.BackupJobHoldersParams{JobID: &id, MaxHolders: maxHolders})
		if err := refuseHeld(op, holders, err); err != nil {
			return err
		}
		_, err = q.q.DeleteBackupJob(ctx, id)
		return translate(op, err)
	})
}

// checkJobReferences answers for texts that are no ids as the foreign keys do for ids of nothing.
func checkJobReferences(j BackupJob) error {
	for _, reference := range []struct{ field, id string }{{"datasource_id", j.DatasourceID}, {"storage_location_id", j.StorageLocationID}} {
		if !isID(reference.id) {
			return &ReferenceError{Field: reference.field}
		}
	}
	return nil
}

func timezoneOr(name string) string {
	if name == "" {
		return "UTC"
	}
	return name
}

func overlapOr(policy domain.OverlapPolicy) domain.OverlapPolicy {
	if policy == "" {
		return domain.OverlapSkip
	}
	return policy
}
