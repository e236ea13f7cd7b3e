package db

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// CheckedDatasource is a datasource with its last check, nil for none.
type CheckedDatasource struct {
	ID, Name   string
	Type       domain.DatasourceType
	Enabled    bool
	Pool       string
	PoolServed bool // a worker took the last check of the pool, or there was none yet
	Status     domain.DatasourceStatus
	Failures   int // failed checks in a row
	Last       *HealthCheck
	createdAt  time.Time
}

// CheckedStorage is a storage location with its last check, nil for none.
type CheckedStorage struct {
	ID, Name         string
	Type             domain.StorageLocationType
	Enabled          bool
	Pool             string
	PoolServed       bool
	Status           domain.StorageLocationStatus
	AvailableSpaceGB *float64
	Failures         int
	Last             *StorageHealthCheck
	createdAt        time.Time
}

// healthPage is a page of what is checked with all that is shown of it, in one statement: {things} and {checks} are tables, {thing}
// is what their rows are, {shown} and {checked} are columns. The subselects keep to the rows of the page.
const healthPage = `SELECT t.id::text, t.name, t.type, t.enabled, t.pool, t.status, t.created_at, {shown}
	COALESCE((SELECT p.failures = 0 FROM health_states p WHERE p.entity_type = 'pool' AND p.entity_id = t.pool), true),
	COALESCE((SELECT h.failures FROM health_states h WHERE h.entity_type = '{thing}' AND h.entity_id = t.id::text), 0),
	c.id::text, c.status, c.latency_ms, c.error_message, c.checked_at, {checked}
	FROM (SELECT * FROM {things}
		WHERE ($1::jsonb IS NULL OR {allowed}) AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
		ORDER BY created_at DESC, id DESC LIMIT $4) t
	LEFT JOIN LATERAL (SELECT * FROM {checks} h WHERE h.{thing}_id = t.id ORDER BY h.checked_at DESC, h.id DESC LIMIT 1) c ON true
	ORDER BY t.created_at DESC, t.id DESC`

var (
	datasourceHealthPage = strings.NewReplacer("{things}", "datasources", "{thing}", "datasource", "{checks}", "health_checks", "{shown}", "",
		"{checked}", "c.server_version", "{allowed}", "scope_allows($1, id, NULL, NULL)").Replace(healthPage)
	storageHealthPage = strings.NewReplacer("{things}", "storage_locations", "{thing}", "storage_location", "{checks}", "storage_health_checks",
		"{shown}", "t.available_space_gb,", "{checked}", "c.location_status, c.available_space_gb, c.used_bytes",
		"{allowed}", "scope_allows($1, NULL, id, NULL)").Replace(healthPage)
)

// ListDatasourceHealth reads one page, newest first. Errors: ErrInvalidCursor.
func (q *Queries) ListDatasourceHealth(ctx context.Context, page Page) ([]CheckedDatasource, string, error) {
	rows, err := q.healthPage(ctx, datasourceHealthPage, domain.ScopeDatasource, page)
	if err != nil {
		return nil, "", err
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (CheckedDatasource, error) {
		var d CheckedDatasource
		var c lastCheck
		var version *string
		err := row.Scan(&d.ID, &d.Name, &d.Type, &d.Enabled, &d.Pool, &d.Status, &d.createdAt, &d.PoolServed, &d.Failures,
			&c.id, &c.status, &c.latency, &c.message, &c.at, &version)
		if err == nil && c.id != nil {
			d.Last = &HealthCheck{
				ID: *c.id, DatasourceID: d.ID, Status: *c.status, LatencyMS: c.latency, ServerVersion: *version, ErrorMessage: *c.message, CheckedAt: *c.at,
			}
		}
		return d, err
	})
	if err != nil {
		return nil, "", translate("list the health of datasources", err)
	}
	found, next := pageOf(found, page, func(d CheckedDatasource) (time.Time, string) { return d.createdAt, d.ID })
	return found, next, nil
}

// ListStorageHealth reads one page, newest first. Errors: ErrInvalidCursor.
func (q *Queries) ListStorageHealth(ctx context.Context, page Page) ([]CheckedStorage, string, error) {
	rows, err := q.healthPage(ctx, storageHealthPage, domain.ScopeStorageLocation, page)
	if err != nil {
		return nil, "", err
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (CheckedStorage, error) {
		var l CheckedStorage
		var c lastCheck
		var status *domain.StorageLocationStatus
		var available *float64
		var used *int64
		err := row.Scan(&l.ID, &l.Name, &l.Type, &l.Enabled, &l.Pool, &l.Status, &l.createdAt, &l.AvailableSpaceGB, &l.PoolServed, &l.Failures,
			&c.id, &c.status, &c.latency, &c.message, &c.at, &status, &available, &used)
		if err == nil && c.id != nil {
			l.Last = &StorageHealthCheck{
				ID: *c.id, StorageLocationID: l.ID, Status: *c.status, LocationStatus: *status, LatencyMS: c.latency,
				AvailableSpaceGB: available, ErrorMessage: *c.message, CheckedAt: *c.at, UsedBytes: used,
			}
		}
		return l, err
	})
	if err != nil {
		return nil, "", translate("list the health of storage locations", err)
	}
	found, next := pageOf(found, page, func(l CheckedStorage) (time.Time, string) { return l.createdAt, l.ID })
	return found, next, nil
}

// lastCheck is what both kinds of checks have, nil where there was none.
type lastCheck struct {
	id      *string
	status  *domain.HealthCheckStatus
	latency *int64
	message *string
	at      *time.Time
}

func (q *Queries) healthPage(ctx context.Context, statement string, kind domain.ScopeKind, page Page) (pgx.Rows, error) {
	from, err := page.position()
	if err != nil {
		return nil, err
	}
	scope, err := scopeFor(ctx, kind)
	if err != nil {
		return nil, err
	}
	rows, err := q.conn.Query(ctx, statement, scope, from.createdAt, from.id, page.fetch())
	return rows, translate("list the health of "+string(kind)+"s", err)
}
