package db

import (
	"context"
	"strings"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// listedColumns are those of dbgen.ListExecutionsRow.
const listedColumns = `id::text, job_id::text, datasource_id::text, storage_location_id::text, status, backup_type, size_bytes, compressed_size_bytes,
	started_at, finished_at, error_message, pinned, generation, parent_execution_id::text, increment_number, deleting_at, progress,
	(metadata - 'execution_logs')::jsonb AS metadata, created_at, waiting_for`

// fewLeads is up to how many resources a list by what few executions are is led by those; with more, most of such executions are
// shown, and there is an index of them.
const fewLeads = 100

// lead says by which resources a page of executions is to be read, nil for by none: the filter leads, or nothing does.
func (f ExecutionFilter) lead(document *scopeDocument) (ids map[domain.ScopeKind][]string, alone bool) {
	if f.JobID != "" || f.DatasourceID != "" || f.StorageLocationID != "" || f.Status == domain.Queued || f.Status == domain.Running {
		return nil, false
	}
	ids, alone = document.leads()
	many := 0
	for _, of := range ids {
		many += len(of)
	}
	if many > fewLeads && f.Operation == domain.OperationRestore {
		return nil, false
	}
	return ids, alone
}

// shows reports whether anything that the filter asks for can be shown to ctx.
func (f ExecutionFilter) shows(ctx context.Context) bool {
	for kind, id := range map[domain.ScopeKind]string{
		domain.ScopeBackupJob: f.JobID, domain.ScopeDatasource: f.DatasourceID, domain.ScopeStorageLocation: f.StorageLocationID,
	} {
		if id != "" && !scopeOf(ctx).Allows(domain.Belongs{kind: {ID: strings.ToLower(id)}}) {
			return false
		}
	}
	return true
}

// listLed is ListExecutions of who is limited to some resources, led by these.
func (q *Queries) listLed(ctx context.Context, filter ExecutionFilter, from position, size int32, document *scopeDocument, ids map[domain.ScopeKind][]string, alone bool) ([]dbgen.ListExecutionsRow, error) {
	var args arguments
	where := conditions{args: &args}
	where.is(filter.Status != "", "r.status = ", filter.Status, "")
	where.is(filter.Operation != "", "r.operation = ", string(filter.Operation), "")
	if filter.Kept {
		where.add("r.deleting_at IS NULL")
	}
	where.made(filter.From, filter.To)
	where.after(from)
	if !alone {
		where.add(document.condition(executionColumns.of("r"), &args))
	}
	limit := args.add(size) + "::int"
	var branches []string
	for _, kind := range leadKinds {
		if ids[kind] != nil {
			things := "SELECT unnest(" + args.add(ids[kind]) + "::uuid[]) AS id"
			branches = append(branches, ledBy("backup_executions", "r."+executionColumns[kind], things, where.String(), limit))
		}
	}
	return collect[dbgen.ListExecutionsRow](ctx, q, "list executions", newestOf(listedColumns, "backup_executions", branches, limit), args...)
}
