package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/stretchr/testify/require"
)

// listed is a list of the API with the bare SELECT of its pages.
type listed struct {
	caller    string // who is limited to some resources: one of limitedCallers; "" is the owner
	operation string
	path      string // with its filters, ending in ? or &
	table     string // t in where and in shown
	where     string // of the filters; "" for none
	keys      string // of the order; "" is created_at, id
	ascending bool
	shown     string // of a list that shows more than its table has: the further columns
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
func (l listed) bare(columns, limit string, after bool) string {
	order, position := l.order()
	conditions := []string{"true"}
	if l.where != "" {
		conditions = append(conditions, l.where)
	}
	if after {
		conditions = append(conditions, position)
	}
	return fmt.Sprintf("SELECT %s FROM %s t WHERE %s ORDER BY %s LIMIT %s", columns, l.table, strings.Join(conditions, " AND "), order, limit)
}

// columns are those of the page.
func (l listed) columns() string {
	if l.shown == "" {
		return "t.*"
	}
	return "t.*, " + l.shown
}

// What lists show besides the columns of their tables, as one SELECT.
const (
	storedAt = `(SELECT jsonb_agg(jsonb_build_object('id', l.id, 'name', l.name, 'type', l.type, 'status', l.status, 'pool', l.pool, 'manifest_path', c.path,
		'damaged_objects', (SELECT count(*) FROM damaged_objects d WHERE d.healed_at IS NULL AND d.storage_location_id = l.id AND (d.object_key = c.path
			OR EXISTS (SELECT FROM backup_chunks b WHERE b.execution_id = e.id AND b.chunk_id = d.chunk_id AND b.generation = d.folder)))))
		FROM (SELECT e.storage_location_id AS id, e.metadata ->> 'manifest_path' AS path
			UNION ALL SELECT r.storage_location_id, r.manifest_path FROM backup_replicas r WHERE r.execution_id = e.id AND r.copied_at IS NOT NULL) c
		JOIN storage_locations l ON l.id = c.id)`
	lastBackup = `(SELECT to_jsonb(e) || jsonb_build_object('stored_at', ` + storedAt + `) FROM backup_executions e
		WHERE e.datasource_id = t.id AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
		ORDER BY e.created_at DESC, e.id DESC LIMIT 1) AS last_backup`
	lastCheck = `(SELECT to_jsonb(c) FROM health_checks c WHERE c.datasource_id = t.id ORDER BY c.checked_at DESC, c.id DESC LIMIT 1) AS last_check,
		(SELECT h.failures FROM health_states h WHERE h.entity_type = 'datasource' AND h.entity_id = t.id::text) AS failures`
	lastStorageCheck = `(SELECT to_jsonb(c) FROM storage_health_checks c WHERE c.storage_location_id = t.id ORDER BY c.checked_at DESC, c.id DESC LIMIT 1) AS last_check,
		(SELECT h.failures FROM health_states h WHERE h.entity_type = 'storage_location' AND h.entity_id = t.id::text) AS failures,
		(SELECT regr_slope(sample.used_bytes::float8, EXTRACT(EPOCH FROM sample.checked_at))
			FROM (SELECT now() - interval '30 days' + n * interval '1 day' AS since, interval '1 day' AS length FROM generate_series(0, 27) AS n
				UNION ALL SELECT now() - interval '2 days' + n * interval '6 hours', interval '6 hours' FROM generate_series(0, 7) AS n) slots
			CROSS JOIN LATERAL (SELECT c.checked_at, c.used_bytes FROM storage_health_checks c
				WHERE c.storage_location_id = t.id AND c.checked_at > slots.since AND c.checked_at <= slots.since + slots.length
				ORDER BY c.checked_at DESC, c.id DESC LIMIT 1) sample) AS bytes_per_second`
	neededBy = `(SELECT jsonb_agg(jsonb_build_object('id', e.id, 'datasource_id', e.datasource_id, 'job_id', e.job_id, 'job_name', j.name, 'created_at', e.created_at)
			ORDER BY e.created_at, e.id)
		FROM backup_chunks c JOIN backup_executions e ON e.id = c.execution_id LEFT JOIN backup_jobs j ON j.id = e.job_id
		WHERE c.generation = t.folder AND c.chunk_id = t.chunk_id AND e.operation = 'backup' AND e.status = 'completed' AND e.deleting_at IS NULL
			AND (e.storage_location_id = t.storage_location_id OR EXISTS (SELECT FROM backup_replicas r
				WHERE r.execution_id = e.id AND r.storage_location_id = t.storage_location_id AND r.copied_at IS NOT NULL))) AS needed_by`
	rolesOf       = `ARRAY(SELECT r.name FROM user_roles ur JOIN roles r ON r.id = ur.role_id WHERE ur.user_id = t.id ORDER BY r.name) AS roles`
	permissionsOf = `ARRAY(SELECT p.name FROM role_permissions rp JOIN permissions p ON p.id = rp.permission_id WHERE rp.role_id = t.id ORDER BY p.name) AS permissions`
	lastRetention = `(SELECT r.result FROM backup_job_retention r WHERE r.job_id = t.id) AS last_retention`
)

// lists are all that the API has, and those of executions by each filter; filtered adds those of the other lists.
func (s *speed) lists() []listed {
	job, datasource := s.one("SELECT id::text FROM jobs WHERE n = 7"), s.one("SELECT id::text FROM d WHERE n = 7")
	storage, owner := s.one("SELECT id::text FROM s WHERE n = 7"), s.one("SELECT id::text FROM users WHERE is_owner")
	chunked := s.one("SELECT execution_id::text FROM backup_chunks GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")
	executions := func(query, where string) listed {
		return listed{operation: "list-executions", path: "/api/executions?" + query, table: "backup_executions", where: where}
	}
	return append([]listed{
		executions("", ""),
		executions("status=failed&", "status = 'failed'"),
		executions("operation=restore&", "operation = 'restore'"),
		executions("storage="+storage+"&", "storage_location_id = '"+storage+"'"),
		executions("job="+job+"&", "job_id = '"+job+"'"),
		executions("datasource="+datasource+"&", "datasource_id = '"+datasource+"'"),
		{operation: "list-execution-chunks", path: "/api/executions/" + chunked + "/chunks?", table: "backup_chunks", where: "execution_id = '" + chunked + "'", keys: "chunk_id", ascending: true},
		{
			operation: "list-backups", path: "/api/backups/datasources/" + datasource + "?", table: "(SELECT e.*, " + storedAt + " AS stored_at FROM backup_executions e)",
			where: "datasource_id = '" + datasource + "' AND operation = 'backup' AND status = 'completed' AND deleting_at IS NULL",
		},
		{operation: "list-backup-jobs", path: "/api/backup-jobs?", table: "backup_jobs", shown: lastRetention},
		{operation: "list-datasources", path: "/api/datasources?", table: "datasources"},
		{operation: "list-storage-locations", path: "/api/storage-locations?", table: "storage_locations"},
		{operation: "list-backed-up-datasources", path: "/api/backups/datasources?", table: "datasources", shown: lastBackup},
		{operation: "list-restore-targets", path: "/api/backups/restore-targets?", table: "datasources"},
		{operation: "list-datasource-health", path: "/api/health/datasources?", table: "datasources", shown: lastCheck},
		{operation: "list-storage-health", path: "/api/health/storage?", table: "storage_locations", shown: lastStorageCheck},
		{operation: "list-datasource-checks", path: "/api/health/datasources/" + datasource + "?", table: "health_checks", where: "datasource_id = '" + datasource + "'", keys: "checked_at, id"},
		{operation: "list-storage-checks", path: "/api/health/storage/" + storage + "?", table: "storage_health_checks", where: "storage_location_id = '" + storage + "'", keys: "checked_at, id"},
		{
			operation: "list-damage", path: "/api/storage-locations/" + storage + "/damage?healed=true&", table: "damaged_objects", shown: neededBy,
			where: "storage_location_id = '" + storage + "'", keys: "object_key", ascending: true,
		},
		{operation: "list-sync-jobs", path: "/api/db-sync-jobs?", table: "database_sync_jobs"},
		{operation: "list-sync-executions", path: "/api/db-sync-executions?", table: "database_sync_executions"},
		{operation: "list-drill-jobs", path: "/api/restore-drill-jobs?", table: "restore_drill_jobs"},
		{operation: "list-drill-executions", path: "/api/restore-drill-executions?", table: "restore_drill_executions"},
		{operation: "list-notifications", path: "/api/notifications?", table: "notifications"},
		{operation: "list-notification-channels", path: "/api/notification-channels?", table: "notification_channels"},
		{operation: "list-notification-deliveries", path: "/api/notification-deliveries?", table: "notification_deliveries"},
		{operation: "list-notification-templates", path: "/api/system/notification-templates?", table: "notification_templates"},
		{operation: "list-audit-logs", path: "/api/audit-logs?", table: "audit_logs"},
		{operation: "list-users", path: "/api/access/users?", table: "users", shown: rolesOf},
		{operation: "list-roles", path: "/api/access/roles?", table: "roles", shown: permissionsOf},
		{operation: "list-scopes", path: "/api/access/scopes?", table: "access_scopes"},
		{operation: "list-approvals", path: "/api/approvals?", table: "approvals"},
		{operation: "list-tokens", path: "/api/auth/tokens?", table: "api_tokens", where: "user_id = '" + owner + "'"},
		{operation: "list-user-tokens", path: "/api/access/users/" + owner + "/tokens?", table: "api_tokens", where: "user_id = '" + owner + "'"},
		{operation: "list-sessions", path: "/api/auth/sessions?", table: "auth_sessions", where: "user_id = '" + owner + "' AND expires_at > now()"},
		{operation: "list-user-sessions", path: "/api/access/users/" + owner + "/sessions?", table: "auth_sessions", where: "user_id = '" + owner + "' AND expires_at > now()"},
	}, append(s.filtered(job, datasource, storage), s.limited()...)...)
}

// filtered are the other lists by their filters.
func (s *speed) filtered(job, datasource, storage string) []listed {
	sync, drill := s.one("SELECT id::text FROM syncs WHERE n = 7"), s.one("SELECT id::text FROM drills WHERE n = 7")
	user := s.one("SELECT user_id::text FROM access_scopes WHERE tag IS NOT NULL AND user_id IS NOT NULL LIMIT 1")
	role := s.one("SELECT id::text FROM roles WHERE name = 'role 7'")
	told, delivered := s.one("SELECT metadata ->> 'execution_id' FROM notifications LIMIT 1"), s.one("SELECT notification_id::text FROM notification_deliveries LIMIT 1")
	channel := s.one("SELECT channel_id::text FROM notification_deliveries GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")
	return []listed{
		{operation: "list-sync-jobs", path: "/api/db-sync-jobs?datasource_id=" + datasource + "&", table: "database_sync_jobs", where: "'" + datasource + "' IN (source_datasource_id, target_datasource_id)"},
		{operation: "list-sync-jobs", path: "/api/db-sync-jobs?storage_location_id=" + storage + "&", table: "database_sync_jobs", where: "storage_location_id = '" + storage + "'"},
		{operation: "list-sync-executions", path: "/api/db-sync-executions?job_id=" + sync + "&", table: "database_sync_executions", where: "sync_job_id = '" + sync + "'"},
		{operation: "list-sync-executions", path: "/api/db-sync-executions?status=failed&", table: "database_sync_executions", where: "status = 'failed'"},
		{operation: "list-drill-jobs", path: "/api/restore-drill-jobs?datasource_id=" + datasource + "&", table: "restore_drill_jobs", where: "'" + datasource + "' IN (datasource_id, target_datasource_id)"},
		{operation: "list-drill-executions", path: "/api/restore-drill-executions?job_id=" + drill + "&", table: "restore_drill_executions", where: "drill_job_id = '" + drill + "'"},
		{operation: "list-drill-executions", path: "/api/restore-drill-executions?status=failed&", table: "restore_drill_executions", where: "status = 'failed'"},
		{operation: "list-notifications", path: "/api/notifications?unread=true&", table: "notifications", where: "read_at IS NULL"},
		{operation: "list-notifications", path: "/api/notifications?type=backup_failed&", table: "notifications", where: "type = 'backup_failed'"},
		{operation: "list-notifications", path: "/api/notifications?severity=critical&", table: "notifications", where: "severity = 'critical'"},
		{operation: "list-notifications", path: "/api/notifications?entity_type=backup_job&entity_id=" + job + "&", table: "notifications", where: "entity_type = 'backup_job' AND entity_id = '" + job + "'"},
		{operation: "list-notification-deliveries", path: "/api/notification-deliveries?channel_id=" + channel + "&", table: "notification_deliveries", where: "channel_id = '" + channel + "'"},
		{operation: "list-notification-deliveries", path: "/api/notification-deliveries?status=failed&", table: "notification_deliveries", where: "status = 'failed'"},
		{operation: "list-notification-templates", path: "/api/system/notification-templates?channel=webhook&type=backup_success&", table: "notification_templates", where: "channel = 'webhook' AND type = 'backup_success'"},
		{operation: "list-audit-logs", path: "/api/audit-logs?actor=owner@example.com&", table: "audit_logs", where: "actor_name = 'owner@example.com'"},
		{operation: "list-audit-logs", path: "/api/audit-logs?action=backup_job.update&", table: "audit_logs", where: "action = 'backup_job.update'"},
		{operation: "list-audit-logs", path: "/api/audit-logs?resource=sync_job&", table: "audit_logs", where: "resource = 'sync_job'"},
		{operation: "list-audit-logs", path: "/api/audit-logs?resource_id=seven&", table: "audit_logs", where: "resource_id = 'seven'"},
		{operation: "list-users", path: "/api/access/users?email=user7@example.com&", table: "users", shown: rolesOf, where: "lower(email) = 'user7@example.com'"},
		{operation: "list-scopes", path: "/api/access/scopes?user_id=" + user + "&", table: "access_scopes", where: "user_id = '" + user + "'"},
		{operation: "list-approvals", path: "/api/approvals?status=pending&", table: "approvals", where: "status = 'pending' AND expires_at > now()"},
		{operation: "list-drill-jobs", path: "/api/restore-drill-jobs?backup_job_id=" + job + "&", table: "restore_drill_jobs", where: "backup_job_id = '" + job + "'"},
		{operation: "list-notifications", path: "/api/notifications?execution_id=" + told + "&", table: "notifications", where: "metadata ->> 'execution_id' = '" + told + "'"},
		{operation: "list-notification-deliveries", path: "/api/notification-deliveries?notification_id=" + delivered + "&", table: "notification_deliveries", where: "notification_id = '" + delivered + "'"},
		{operation: "list-notification-templates", path: "/api/system/notification-templates?active=true&", table: "notification_templates", where: "is_active"},
		{operation: "list-scopes", path: "/api/access/scopes?role_id=" + role + "&", table: "access_scopes", where: "role_id = '" + role + "'"},
		between("list-executions", "/api/executions?", "backup_executions"),
		between("list-sync-executions", "/api/db-sync-executions?", "database_sync_executions"),
		between("list-drill-executions", "/api/restore-drill-executions?", "restore_drill_executions"),
		between("list-notifications", "/api/notifications?", "notifications"),
		between("list-audit-logs", "/api/audit-logs?", "audit_logs"),
	}
}

// between is a list from one time to another.
func between(operation, path, table string) listed {
	now := time.Now().UTC().Truncate(24 * time.Hour)
	// The beginning of a year, which is when tie lets rows be made.
	from, to := time.Date(now.AddDate(0, 0, -200).Year(), 1, 1, 0, 0, 0, 0, time.UTC).Format(time.RFC3339), now.AddDate(0, 0, -100).Format(time.RFC3339)
	return listed{operation: operation, path: path + "from=" + from + "&to=" + to + "&", table: table, where: "created_at >= '" + from + "' AND created_at < '" + to + "'"}
}

// limitedCallers are two who see a part of everything: two datasources of all, whose owners do not see each other's; and all but
// the one that has the most executions.
var limitedCallers = []string{"who sees two datasources", "who is denied one"}

// limitedCaller makes both, and remembers their tokens.
func (s *speed) limitedCaller() {
	s.t.Helper()
	s.callers = map[string]string{}
	for i, rule := range []string{"'allow', 'datasource', id FROM d WHERE n IN (10, 11)", "'deny', 'datasource', id FROM d WHERE n = 7"} {
		email := fmt.Sprintf("limited%d@example.com", i)
		id := s.user(email, "admin")
		_, err := s.conn.Exec(s.t.Context(), "INSERT INTO access_scopes (id, user_id, permission, effect, resource, resource_id) SELECT gen_random_uuid(), '"+id+"', '*', "+rule)
		require.NoError(s.t, err)
		s.callers[limitedCallers[i]] = s.signIn(email, ownerPassword).token
	}
}

// limited are the lists of what belongs to a datasource, of these two callers.
func (s *speed) limited() []listed {
	var out []listed
	ids := s.one("SELECT string_agg(quote_literal(id), ', ') FROM d WHERE n IN (10, 11)")
	seven := s.one("SELECT quote_literal(id) FROM d WHERE n = 7")
	for _, caller := range limitedCallers {
		is := func(column string) string {
			if caller == limitedCallers[0] {
				return column + " IN (" + ids + ")"
			}
			return column + " <> " + seven
		}
		add := func(operation, path, table, where string) {
			out = append(out, listed{caller: caller, operation: operation, path: path, table: table, where: where})
		}
		jobs, both := "SELECT id FROM backup_jobs WHERE "+is("datasource_id"), is("source_datasource_id")+" AND "+is("target_datasource_id")
		add("list-datasources", "/api/datasources?", "datasources", is("id"))
		add("list-backup-jobs", "/api/backup-jobs?", "backup_jobs", is("datasource_id"))
		add("list-executions", "/api/executions?", "backup_executions", is("datasource_id"))
		add("list-executions", "/api/executions?status=failed&", "backup_executions", is("datasource_id")+" AND status = 'failed'")
		add("list-executions", "/api/executions?operation=restore&", "backup_executions", is("datasource_id")+" AND operation = 'restore'")
		add("list-sync-jobs", "/api/db-sync-jobs?", "database_sync_jobs", both)
		add("list-sync-executions", "/api/db-sync-executions?", "database_sync_executions", "sync_job_id IN (SELECT id FROM database_sync_jobs WHERE "+both+")")
		add("list-drill-jobs", "/api/restore-drill-jobs?", "restore_drill_jobs", is("datasource_id"))
		add("list-drill-executions", "/api/restore-drill-executions?", "restore_drill_executions", "drill_job_id IN (SELECT id FROM restore_drill_jobs WHERE "+is("datasource_id")+")")
		add("list-notifications", "/api/notifications?", "notifications", "entity_id IN ("+jobs+")")
		add("list-notifications", "/api/notifications?unread=true&", "notifications", "read_at IS NULL AND entity_id IN ("+jobs+")")
	}
	return out
}

// elsewhere are the lists that no table of the catalogue answers: a worker reads them from a storage location.
var elsewhere = []string{"list-storage-files", "list-backup-files"}

// requireEveryList compares the table of lists with the document of the API: a new list, and a new filter of one, is measured, or this fails.
func (s *speed) requireEveryList(lists []listed) {
	s.t.Helper()
	var paged, measured []string
	for _, item := range s.server.api.OpenAPI().Paths {
		if item.Get == nil || slices.Contains(elsewhere, item.Get.OperationID) ||
			!slices.ContainsFunc(item.Get.Parameters, func(p *huma.Param) bool { return p.Name == "cursor" }) {
			continue
		}
		paged = append(paged, item.Get.OperationID)
		for _, p := range item.Get.Parameters {
			if p.In == "query" && p.Name != "cursor" && p.Name != "limit" {
				paged = append(paged, item.Get.OperationID+" by "+p.Name)
			}
		}
	}
	for _, l := range lists {
		measured = append(measured, l.operation)
		address, err := url.Parse(l.path)
		require.NoError(s.t, err)
		for name := range address.Query() {
			measured = append(measured, l.operation+" by "+name)
		}
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
