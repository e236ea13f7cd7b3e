package db

import (
	"context"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// What a run belongs to, as {in_scope} of the database decides for a single one, in terms of rows that are joined to it: r is the run, j its job. $1 is
// the scope.
const (
	recordedInScope = `sync_in_scope($1::jsonb, (r.metadata #>> '{sync,from_datasource_id}')::uuid, (r.metadata #>> '{sync,into_datasource_id}')::uuid,
		NULLIF(r.metadata #>> '{sync,storage_location_id}', '')::uuid)`
	syncJobInScope  = `sync_in_scope($1::jsonb, j.source_datasource_id, j.target_datasource_id, j.storage_location_id)`
	drillJobInScope = `drill_belongs_in_scope($1::jsonb, j.datasource_id, j.target_datasource_id, b.storage_location_id, j.backup_job_id)`
	provedInScope   = `(r.backup_execution_id IS NULL OR COALESCE((SELECT scope_allows($1::jsonb, e.datasource_id, e.storage_location_id, e.job_id)
		FROM backup_executions e WHERE e.id = r.backup_execution_id), false))`
)

// listLimitedRuns is the statement of a page of runs of who is limited to some resources. where is of the filter, on r; ofJob says that
// the filter names a job. Where the scope names datasources, these lead: a run of a sync was from one of them or, where that was not recorded,
// is of a job that is; a run of a drill is of a job that proves one.
func listLimitedRuns(kind RunKind, document *scopeDocument, ofJob bool, where, size string, args *arguments) string {
	datasources := document.withoutJobs(kind).limited(domain.ScopeDatasource)
	if datasources == nil || ofJob {
		return newestOf(listedRunColumns, "{runs}", []string{passedRuns(kind, where, size)}, size)
	}
	param := args.add(datasources) + "::uuid[]"
	if kind == RunDrill {
		jobs := `SELECT j.id FROM restore_drill_jobs j LEFT JOIN backup_jobs b ON b.id = j.backup_job_id
			WHERE j.datasource_id = ANY(` + param + `) AND ` + drillJobInScope
		return newestOf(listedRunColumns, "{runs}", []string{ledBy("{runs}", "r.{job}", jobs, provedInScope+" AND "+where, size)}, size)
	}
	jobs := `SELECT j.id FROM database_sync_jobs j WHERE j.source_datasource_id = ANY(` + param + `) AND ` + syncJobInScope
	return newestOf(listedRunColumns, "{runs}", []string{
		ledBy("{runs}", "r.metadata ? 'sync' AND r.metadata #>> '{sync,from_datasource_id}'", "SELECT unnest("+param+")::text AS id", recordedInScope+" AND "+where, size),
		ledBy("{runs}", "NOT (r.metadata ? 'sync') AND r.{job}", jobs, where, size),
	}, size)
}

// passedRuns reads all runs, the newest first, and passes over what is not shown.
func passedRuns(kind RunKind, where, size string) string {
	from := `{runs} r LEFT JOIN database_sync_jobs j ON j.id = r.{job}
		WHERE CASE WHEN r.metadata ? 'sync' THEN ` + recordedInScope + ` ELSE j.id IS NOT NULL AND ` + syncJobInScope + ` END`
	if kind == RunDrill {
		from = `{runs} r LEFT JOIN restore_drill_jobs j ON j.id = r.{job} LEFT JOIN backup_jobs b ON b.id = j.backup_job_id
			WHERE j.id IS NOT NULL AND ` + drillJobInScope + ` AND ` + provedInScope
	}
	return `(SELECT r.id, r.created_at FROM ` + from + ` AND ` + where + ` ORDER BY r.created_at DESC, r.id DESC LIMIT ` + size + `)`
}

// withoutJobs leaves out the ways in that are limited to backup jobs, for runs of syncs, which are of none.
func (d *scopeDocument) withoutJobs(kind RunKind) *scopeDocument {
	if kind != RunSync || d.Any == nil {
		return d
	}
	out := &scopeDocument{Any: []map[domain.ScopeKind]map[string]bool{}, Deny: d.Deny}
	for _, way := range d.Any {
		if way[domain.ScopeBackupJob] == nil {
			out.Any = append(out.Any, way)
		}
	}
	return out
}

// limitedRuns is ListRuns of who is limited to some resources.
func limitedRuns(ctx context.Context, kind RunKind, filter RunFilter, from position, size int32) (statement string, args arguments, err error) {
	scope, err := scopeFor(ctx, domain.ScopeKinds()...)
	if err != nil {
		return "", nil, err
	}
	args.add(scope)
	where := conditions{args: &args}
	where.is(filter.JobID != "", "r.{job} = ", filter.JobID, "")
	where.is(filter.Status != "", "r.status = ", filter.Status, "")
	where.made(filter.From, filter.To)
	where.after(from)
	limit := args.add(size) + "::int"
	statement = listLimitedRuns(kind, documentFor(ctx, domain.ScopeKinds()...), filter.JobID != "", where.String(), limit, &args)
	return statement, args, nil
}
