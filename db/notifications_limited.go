package db

import (
	"context"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

const notificationColumns = `id::text, type, severity, entity_type, entity_id::text, title, message, metadata, read_at, created_at, dispatched_at`

// told are the entities whose notifications the scope $1 shows, where it names the datasources $2: these, and what is of one of
// them, as entity_in_scope decides.
const told = `SELECT 'datasource'::notification_entity_type AS kind, w.id FROM unnest($2::uuid[]) AS w (id) WHERE scope_allows($1::jsonb -> 'datasource', w.id, NULL, NULL)
	UNION ALL
	SELECT 'backup_job', j.id FROM backup_jobs j
	WHERE j.datasource_id = ANY($2::uuid[]) AND scope_allows($1::jsonb -> 'all', j.datasource_id, j.storage_location_id, j.id)
	UNION ALL
	SELECT 'database_sync_job', j.id FROM database_sync_jobs j
	WHERE j.source_datasource_id = ANY($2::uuid[]) AND sync_in_scope($1::jsonb -> 'all', j.source_datasource_id, j.target_datasource_id, j.storage_location_id)
	UNION ALL
	SELECT 'restore_drill_job', j.id FROM restore_drill_jobs j LEFT JOIN backup_jobs b ON b.id = j.backup_job_id
	WHERE j.datasource_id = ANY($2::uuid[])
	  AND drill_belongs_in_scope($1::jsonb -> 'all', j.datasource_id, j.target_datasource_id, b.storage_location_id, j.backup_job_id)`

// toldStorage are those of the storage locations $3; where the scope names none, all of them are told of, and have an index of
// their own.
const toldStorage = ` UNION ALL
	SELECT 'storage_location', w.id FROM unnest($3::uuid[]) AS w (id) WHERE scope_allows($1::jsonb -> 'storage_location', NULL, w.id, NULL)`

// notificationLeads are the datasources and the storage locations that lead to all notifications that ctx is shown, datasources nil where nothing
// does. With many of them most notifications are shown, and are read as they come.
func notificationLeads(ctx context.Context) (datasources, storage []string) {
	document := documentFor(ctx, domain.ScopeKinds()...)
	datasources = document.limited(domain.ScopeDatasource)
	if len(datasources) > fewLeads {
		return nil, nil
	}
	return datasources, document.limited(domain.ScopeStorageLocation)
}

// ledNotifications is a page of notifications of who is limited to some datasources.
func (q *Queries) ledNotifications(ctx context.Context, scopes []byte, datasources, storage []string, filter NotificationFilter, from position, size int32) ([]dbgen.Notification, error) {
	args := arguments{scopes, datasources}
	things := told
	if storage != nil {
		args.add(storage)
		things += toldStorage
	}
	where := conditions{args: &args}
	if filter.Unread {
		where.add("r.read_at IS NULL")
	}
	where.is(filter.Type != "", "r.type = ", string(filter.Type), "::text::notification_type")
	where.is(filter.Severity != "", "r.severity = ", string(filter.Severity), "::text::notification_severity")
	where.is(filter.EntityType != "", "r.entity_type = ", string(filter.EntityType), "::text::notification_entity_type")
	where.is(filter.EntityID != "", "r.entity_id = ", filter.EntityID, "::uuid")
	where.made(filter.From, filter.To)
	where.after(from)
	limit := args.add(size) + "::int"
	branches := []string{ledBy("notifications", "r.entity_type = w.kind AND r.entity_id", things, where.String(), limit)}
	if storage == nil {
		branches = append(branches, `(SELECT r.id, r.created_at FROM notifications r
			WHERE r.entity_type = 'storage_location' AND scope_allows($1::jsonb -> 'storage_location', NULL, r.entity_id, NULL) AND `+where.String()+`
			ORDER BY r.created_at DESC, r.id DESC LIMIT `+limit+`)`)
	}
	return collect[dbgen.Notification](ctx, q, "list notifications", newestOf(notificationColumns, "notifications", branches, limit), args...)
}
