package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
)

// listed is a list of the API with the bare SELECT of its pages.
type listed struct {
	operation string
	path      string // with its filters, ending in ? or &
	table     string
	where     string // of the filters; "" for none
	keys      string // of the order; "" is created_at, id
	ascending bool
	// enriched lists show more than their table has: the bare SELECT of their page is all that they ask for.
	enriched bool
}

// order is the order of the list, and what a page begins after.
func (l listed) order() (order, after string) {
	keys := l.keys
	if keys == "" {
		keys = "created_at, id"
	}
	direction, sign := " DESC", "<"
	if l.ascending {
		direction, sign = "", ">"
	}
	names := strings.Split(keys, ", ")
	parameters := make([]string, len(names))
	for i, name := range names {
		names[i], parameters[i] = name+direction, fmt.Sprintf("$%d", i+1)
	}
	return strings.Join(names, ", "), fmt.Sprintf("(%s) %s (%s)", keys, sign, strings.Join(parameters, ", "))
}

// bare is the SELECT of the page that begins after the row at $1 and so on, or of the first.
func (l listed) bare(columns string, limit int, after bool) string {
	order, position := l.order()
	conditions := []string{"true"}
	if l.where != "" {
		conditions = append(conditions, l.where)
	}
	if after {
		conditions = append(conditions, position)
	}
	return fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT %d", columns, l.table, strings.Join(conditions, " AND "), order, limit)
}

// lists are all that the API has, and those of executions by each filter.
func (s *speed) lists() []listed {
	job, datasource := s.one("SELECT id::text FROM jobs WHERE n = 7"), s.one("SELECT id::text FROM d WHERE n = 7")
	storage, owner := s.one("SELECT id::text FROM s WHERE n = 7"), s.one("SELECT id::text FROM users WHERE is_owner")
	chunked := s.one("SELECT execution_id::text FROM backup_chunks LIMIT 1")
	executions := func(query, where string) listed {
		return listed{operation: "list-executions", path: "/api/executions?" + query, table: "backup_executions", where: where}
	}
	return []listed{
		executions("", ""),
		executions("status=failed&", "status = 'failed'"),
		executions("operation=restore&", "operation = 'restore'"),
		executions("storage="+storage+"&", "storage_location_id = '"+storage+"'"),
		executions("job="+job+"&", "job_id = '"+job+"'"),
		executions("datasource="+datasource+"&", "datasource_id = '"+datasource+"'"),
		{operation: "list-execution-chunks", enriched: true, path: "/api/executions/" + chunked + "/chunks?", table: "backup_chunks", where: "execution_id = '" + chunked + "'", keys: "chunk_id", ascending: true},
		{
			operation: "list-backups", enriched: true, path: "/api/backups/datasources/" + datasource + "?", table: "backup_executions",
			where: "datasource_id = '" + datasource + "' AND operation = 'backup' AND status = 'completed' AND deleting_at IS NULL",
		},
		{operation: "list-backup-jobs", enriched: true, path: "/api/backup-jobs?", table: "backup_jobs"},
		{operation: "list-datasources", path: "/api/datasources?", table: "datasources"},
		{operation: "list-storage-locations", path: "/api/storage-locations?", table: "storage_locations"},
		{operation: "list-backed-up-datasources", enriched: true, path: "/api/backups/datasources?", table: "datasources"},
		{operation: "list-restore-targets", path: "/api/backups/restore-targets?", table: "datasources"},
		{operation: "list-datasource-health", enriched: true, path: "/api/health/datasources?", table: "datasources"},
		{operation: "list-storage-health", enriched: true, path: "/api/health/storage?", table: "storage_locations"},
		{operation: "list-datasource-checks", enriched: true, path: "/api/health/datasources/" + datasource + "?", table: "health_checks", where: "datasource_id = '" + datasource + "'", keys: "checked_at, id"},
		{operation: "list-storage-checks", enriched: true, path: "/api/health/storage/" + storage + "?", table: "storage_health_checks", where: "storage_location_id = '" + storage + "'", keys: "checked_at, id"},
		{operation: "list-damage", enriched: true, path: "/api/storage-locations/" + storage + "/damage?healed=true&", table: "damaged_objects", where: "storage_location_id = '" + storage + "' AND healed_at IS NOT NULL", keys: "object_key", ascending: true},
		{operation: "list-sync-jobs", path: "/api/db-sync-jobs?", table: "database_sync_jobs"},
		{operation: "list-sync-executions", path: "/api/db-sync-executions?", table: "database_sync_executions"},
		{operation: "list-drill-jobs", path: "/api/restore-drill-jobs?", table: "restore_drill_jobs"},
		{operation: "list-drill-executions", path: "/api/restore-drill-executions?", table: "restore_drill_executions"},
		{operation: "list-notifications", path: "/api/notifications?", table: "notifications"},
		{operation: "list-notification-channels", path: "/api/notification-channels?", table: "notification_channels"},
		{operation: "list-notification-deliveries", path: "/api/notification-deliveries?", table: "notification_deliveries"},
		{operation: "list-notification-templates", path: "/api/system/notification-templates?", table: "notification_templates"},
		{operation: "list-audit-logs", path: "/api/audit-logs?", table: "audit_logs"},
		{operation: "list-users", enriched: true, path: "/api/access/users?", table: "users"},
		{operation: "list-roles", enriched: true, path: "/api/access/roles?", table: "roles"},
		{operation: "list-scopes", path: "/api/access/scopes?", table: "access_scopes"},
		{operation: "list-approvals", path: "/api/approvals?", table: "approvals"},
		{operation: "list-tokens", path: "/api/auth/tokens?", table: "api_tokens", where: "user_id = '" + owner + "'"},
		{operation: "list-user-tokens", path: "/api/access/users/" + owner + "/tokens?", table: "api_tokens", where: "user_id = '" + owner + "'"},
		{operation: "list-sessions", path: "/api/auth/sessions?", table: "auth_sessions", where: "user_id = '" + owner + "' AND expires_at > now()"},
		{operation: "list-user-sessions", path: "/api/access/users/" + owner + "/sessions?", table: "auth_sessions", where: "user_id = '" + owner + "' AND expires_at > now()"},
	}
}

// elsewhere are the lists that no table of the catalogue answers: a worker reads them from a storage location.
var elsewhere = []string{"list-storage-files", "list-backup-files"}

// requireEveryList compares the table of lists with the document of the API: a new list is measured, or this fails.
func (s *speed) requireEveryList(lists []listed) {
	s.t.Helper()
	var paged []string
	for _, item := range s.server.api.OpenAPI().Paths {
		if item.Get == nil {
			continue
		}
		for _, parameter := range item.Get.Parameters {
			if parameter.Name == "cursor" && !slices.Contains(elsewhere, item.Get.OperationID) {
				paged = append(paged, item.Get.OperationID)
			}
		}
	}
	var measured []string
	for _, l := range lists {
		measured = append(measured, l.operation)
	}
	slices.Sort(measured)
	require.ElementsMatch(s.t, paged, slices.Compact(measured))
}

// after walks through a list by its own cursors, and gives the one of the page after so many rows.
func (s *speed) after(l listed, rows int) (cursor string) {
	s.t.Helper()
	for rows > 0 {
		limit := min(rows, 200)
		answer := s.call(http.MethodGet, fmt.Sprintf("%slimit=%d&cursor=%s", l.path, limit, cursor), nil).ok(http.StatusOK)
		cursor, _ = answer.get("next_cursor").(string)
		require.NotEmpty(s.t, cursor, "%s has no page after %d rows", l.path, rows)
		rows -= limit
	}
	return cursor
}
