package db

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// BackupDay is what the backups that ended on one day, in UTC, came to.
type BackupDay struct {
	Day                          time.Time
	Completed, Failed, Cancelled int64
	SizeBytes, AddedBytes        int64 // of the completed ones
}

// BackupDays counts the backups that ended since a time, the oldest day first; days without any are
// left out.
func (q *Queries) BackupDays(ctx context.Context, since time.Time) ([]BackupDay, error) {
	args := arguments{since}
	where := executionScope(ctx, &args)
	return collect[BackupDay](ctx, q, "count backups by day", `
		SELECT date_trunc('day', finished_at, 'UTC'),
		       count(*) FILTER (WHERE status = 'completed'), count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = 'cancelled'),
		       COALESCE(sum(size_bytes) FILTER (WHERE status = 'completed'), 0)::bigint,
		       COALESCE(sum(compressed_size_bytes) FILTER (WHERE status = 'completed'), 0)::bigint
		FROM backup_executions
		WHERE finished_at IS NOT NULL AND finished_at >= $1 AND operation = 'backup' `+where+`
		GROUP BY 1 ORDER BY 1`, args...)
}

// executionScope is the condition on executions that the scope of ctx is; none without one. It is left out then, not false: an
// index that has not the columns which it names could not answer alone.
func executionScope(ctx context.Context, args *arguments) (where string) {
	document := documentFor(ctx, domain.ScopeKinds()...)
	if document == nil {
		return ""
	}
	return "AND " + document.condition(executionColumns, args)
}

// ResourceCounts is how many of each resource there are.
type ResourceCounts struct {
	Datasources, EnabledDatasources           int64
	StorageLocations, EnabledStorageLocations int64
	BackupJobs, EnabledBackupJobs             int64
}

// CountResources counts them.
func (q *Queries) CountResources(ctx context.Context) (ResourceCounts, error) {
	var scopes [3][]byte
	for i, kinds := range [][]domain.ScopeKind{{domain.ScopeDatasource}, {domain.ScopeStorageLocation}, domain.ScopeKinds()} {
		var err error
		if scopes[i], err = scopeFor(ctx, kinds...); err != nil {
			return ResourceCounts{}, err
		}
	}
	counts, err := collect[ResourceCounts](ctx, q, "count resources", `
		SELECT d.n, d.enabled, s.n, s.enabled, j.n, j.enabled
		FROM (SELECT count(*) AS n, count(*) FILTER (WHERE enabled) AS enabled FROM datasources
		      WHERE $1::jsonb IS NULL OR scope_allows($1, id, NULL, NULL)) d,
		     (SELECT count(*) AS n, count(*) FILTER (WHERE enabled) AS enabled FROM storage_locations
		      WHERE $2::jsonb IS NULL OR scope_allows($2, NULL, id, NULL)) s,
		     (SELECT count(*) AS n, count(*) FILTER (WHERE enabled) AS enabled FROM backup_jobs
		      WHERE $3::jsonb IS NULL OR scope_allows($3, datasource_id, storage_location_id, id)) j`, scopes[0], scopes[1], scopes[2])
	if err != nil {
		return ResourceCounts{}, err
	}
	return counts[0], nil
}

// StoredTotal is what the kept backups of a storage location added to it. Copies are not counted.
type StoredTotal struct {
	StorageLocationID string
	Backups, Bytes    int64
}

// StoredTotals are those of each storage location, as triggers keep them.
func (q *Queries) StoredTotals(ctx context.Context) ([]StoredTotal, error) {
	var args arguments
	where := executionScope(ctx, &args)
	return collect[StoredTotal](ctx, q, "count what storage locations hold", `
		SELECT storage_location_id::text, sum(backups)::bigint, sum(bytes)::bigint
		FROM stored_totals WHERE true `+where+`
		GROUP BY storage_location_id HAVING sum(backups) > 0`, args...)
}

// DatasourceState is the state of a datasource.
type DatasourceState struct {
	ID, Name          string
	Status            domain.DatasourceStatus
	LastHealthCheckAt *time.Time
}

// EnabledDatasourceStates reads the state of every enabled datasource.
func (q *Queries) EnabledDatasourceStates(ctx context.Context) ([]DatasourceState, error) {
	scope, err := scopeFor(ctx, domain.ScopeDatasource)
	if err != nil {
		return nil, err
	}
	return collect[DatasourceState](ctx, q, "read the state of datasources",
		`SELECT id::text, name, status, last_health_check_at FROM datasources
		WHERE enabled AND ($1::jsonb IS NULL OR scope_allows($1, id, NULL, NULL)) ORDER BY lower(name)`, scope)
}

// ScheduledJob is an enabled backup job that has a schedule, with when it last succeeded.
type ScheduledJob struct {
	ID, Name, Cron, TimeZone string
	Since                    time.Time // the schedule
	Pause                    string    // why somebody has paused it in Temporal
	LastCompletedAt          *time.Time
}

// ScheduledJobs reads every enabled backup job with a schedule.
func (q *Queries) ScheduledJobs(ctx context.Context) ([]ScheduledJob, error) {
	scope, err := scopeFor(ctx, domain.ScopeKinds()...)
	if err != nil {
		return nil, err
	}
	return collect[ScheduledJob](ctx, q, "read the scheduled jobs", `
		SELECT j.id::text, j.name, j.schedule_cron, j.schedule_timezone, j.schedule_since, j.schedule_pause,
		       (SELECT e.finished_at FROM backup_executions e
		        WHERE e.job_id = j.id AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
		        ORDER BY e.finished_at DESC LIMIT 1)
		FROM backup_jobs j
		WHERE j.enabled AND j.schedule_cron <> '' AND ($1::jsonb IS NULL OR scope_allows($1, j.datasource_id, j.storage_location_id, j.id))`, scope)
}

// OtherSchedule is the schedule of an enabled sync job or drill job.
type OtherSchedule struct {
	Kind                     RunKind
	ID, Name, Cron, TimeZone string
	Pause                    string // why somebody has paused it in Temporal
}

// OtherSchedules reads every enabled sync job and drill job with a schedule.
func (q *Queries) OtherSchedules(ctx context.Context) ([]OtherSchedule, error) {
	scope, err := scopeFor(ctx, domain.ScopeKinds()...)
	if err != nil {
		return nil, err
	}
	return collect[OtherSchedule](ctx, q, "read the scheduled syncs and drills", `
		SELECT 'sync', y.id::text, y.name, y.schedule_cron, y.schedule_timezone, y.schedule_pause FROM database_sync_jobs y
		WHERE y.enabled AND y.schedule_cron <> ''
		  AND ($1::jsonb IS NULL OR sync_in_scope($1, y.source_datasource_id, y.target_datasource_id, y.storage_location_id))
		UNION ALL
		SELECT 'drill', r.id::text, r.name, r.schedule_cron, r.schedule_timezone, r.schedule_pause
		FROM restore_drill_jobs r LEFT JOIN backup_jobs b ON b.id = r.backup_job_id
		WHERE r.enabled AND r.schedule_cron <> ''
		  AND ($1::jsonb IS NULL OR drill_belongs_in_scope($1, r.datasource_id, r.target_datasource_id, b.storage_location_id, r.backup_job_id))`, scope)
}

// collect reads rows into structs whose fields are in the order of the columns.
func collect[T any](ctx context.Context, q *Queries, op, sql string, args ...any) ([]T, error) {
	rows, err := q.conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, translate(op, err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	return out, translate(op, err)
}

// EndedSince gives the ids of the newest executions that ended at a time or later, the oldest first.
func (q *Queries) EndedSince(ctx context.Context, since time.Time, limit int) ([]string, error) {
	const op = "look for executions that ended"
	rows, err := q.conn.Query(ctx, `
		SELECT id FROM (SELECT id::text, finished_at FROM backup_executions WHERE finished_at IS NOT NULL AND finished_at >= $1
		                ORDER BY finished_at DESC LIMIT $2) newest
		ORDER BY finished_at`, since, limit)
	if err != nil {
		return nil, translate(op, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return ids, translate(op, err)
}
