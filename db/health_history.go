package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// HealthCheck is one check of a datasource.
type HealthCheck struct {
	ID            string
	DatasourceID  string
	Status        domain.HealthCheckStatus
	LatencyMS     *int64
	ServerVersion string
	ErrorMessage  string
	CheckedAt     time.Time
}

// StorageHealthCheck is one check of a storage location.
type StorageHealthCheck struct {
	ID                string
	StorageLocationID string
	Status            domain.HealthCheckStatus
	LocationStatus    domain.StorageLocationStatus
	LatencyMS         *int64
	AvailableSpaceGB  *float64
	ErrorMessage      string
	CheckedAt         time.Time
	UsedBytes         *int64
}

// ListHealthChecks reads one page of the checks of a datasource, newest first. Errors: ErrInvalidCursor.
func (q *Queries) ListHealthChecks(ctx context.Context, datasourceID string, page Page) ([]HealthCheck, string, error) {
	from, err := page.position()
	if err != nil || !isID(datasourceID) {
		return nil, "", err // nothing has what can not exist
	}
	rows, err := q.q.PageHealthChecks(ctx, dbgen.PageHealthChecksParams{
		DatasourceID: datasourceID, BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch(),
	})
	if err != nil {
		return nil, "", translate("list health checks", err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.HealthCheck) (time.Time, string) { return r.CheckedAt, r.ID })
	out, err := convert(rows, func(row dbgen.HealthCheck) (HealthCheck, error) { return HealthCheck(row), nil })
	return out, next, err
}

// ListStorageHealthChecks reads one page of the checks of a storage location, newest first. Errors: ErrInvalidCursor.
func (q *Queries) ListStorageHealthChecks(ctx context.Context, storageID string, page Page) ([]StorageHealthCheck, string, error) {
	from, err := page.position()
	if err != nil || !isID(storageID) {
		return nil, "", err // nothing has what can not exist
	}
	rows, err := q.q.PageStorageHealthChecks(ctx, dbgen.PageStorageHealthChecksParams{
		StorageLocationID: storageID, BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch(),
	})
	if err != nil {
		return nil, "", translate("list storage health checks", err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.StorageHealthCheck) (time.Time, string) { return r.CheckedAt, r.ID })
	out, err := convert(rows, func(row dbgen.StorageHealthCheck) (StorageHealthCheck, error) { return StorageHealthCheck(row), nil })
	return out, next, err
}

// StorageTrends says by how many bytes a second the use of each location grows, least squares over the last thirty
// days; locations with less than a day of history are left out.
func (q *Queries) StorageTrends(ctx context.Context, storageIDs []string) (map[string]float64, error) {
	rows, err := q.q.StorageTrends(ctx, storageIDs)
	out := make(map[string]float64, len(rows))
	for _, row := range rows {
		out[row.StorageLocationID] = row.BytesPerSecond
	}
	return out, translate("read the trends of storage locations", err)
}

// LastCompletedBackups says when the last completed backup of each of the jobs ended; jobs without one are left out.
func (q *Queries) LastCompletedBackups(ctx context.Context, jobIDs []string) (map[string]time.Time, error) {
	rows, err := q.q.LastCompletedBackups(ctx, jobIDs)
	out := make(map[string]time.Time, len(rows))
	for _, row := range rows {
		out[row.JobID] = row.FinishedAt
	}
	return out, translate("read the last backups of jobs", err)
}

// OverdueJob is an enabled job that has had no completed backup for long enough.
type OverdueJob struct {
	Job       BackupJob
	LastAt    *time.Time // when its last completed backup ended, nil for never
	OverdueAt time.Time
}

// OverdueJobs goes through the enabled jobs that have a schedule and calls each with where it stands; overdueAt says when
// a job whose last backup ended at the given time is overdue. One whose cron can not be read is left out: it is not to
// keep the others from being looked at.
func (q *Queries) OverdueJobs(ctx context.Context, overdueAt func(cron, timeZone string, last time.Time) (time.Time, error), each func(OverdueJob) error) error {
	page := Page{Limit: MaxPageSize}
	for {
		jobs, next, err := q.ListBackupJobs(ctx, page)
		if err != nil {
			return err
		}
		ids := make([]string, len(jobs))
		for i, j := range jobs {
			ids[i] = j.ID
		}
		last, err := q.LastCompletedBackups(ctx, ids)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if !j.Enabled || j.ScheduleCron == "" {
				continue
			}
			// A schedule that has just begun, also one that was disabled for long, has its time before anything is missed.
			found, from := OverdueJob{Job: j}, j.ScheduleSince
			if at, has := last[j.ID]; has {
				found.LastAt = &at
				if at.After(from) {
					from = at
				}
			}
			if found.OverdueAt, err = overdueAt(j.ScheduleCron, j.ScheduleTimezone, from); err != nil {
				continue
			}
			if err := each(found); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		page.Cursor = next
	}
}
