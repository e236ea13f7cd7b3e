package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestADenialHoldsHoweverAnIDIsWritten: the database finds an id in upper case as well, so what is denied must be known in both.
func TestADenialHoldsHoweverAnIDIsWritten(t *testing.T) {
	l := newLimited(t)
	l.limit(object{"permission": "datasources.query", "effect": "deny", "resource": "datasource", "resource_id": strings.ToUpper(l.datasource)})
	hooks := object{"hooks": object{"before": []object{{"sql": "SELECT 1"}}}}
	files := object{"referenced_files": object{
		"enabled": true, "discovery_query": "select path from documents", "path_column": "path", "base_directories": []string{"/srv/files"},
	}}
	masked := object{"post_restore_sql": []string{"UPDATE people SET name = ''"}}
	asserted := object{"assertions": []object{{"name": "people", "sql": "SELECT 1", "expect": "1"}}}
	sync := syncBody(l.datasource2, l.datasource, l.storage, "a")
	for _, id := range []string{l.datasource, strings.ToUpper(l.datasource)} {
		for name, call := range map[string]struct {
			method, path string
			body         object
		}{
			"a hook of a new job":                {"POST", "/api/backup-jobs", object{"name": "x", "datasource_id": id, "storage_location_id": l.storage, "backup_options": hooks}},
			"referenced files of a new job":      {"POST", "/api/backup-jobs", object{"name": "x", "datasource_id": id, "storage_location_id": l.storage, "backup_options": files}},
			"a hook of a job that moves there":   {"PATCH", "/api/backup-jobs/" + l.job2, object{"datasource_id": id, "storage_location_id": l.storage, "backup_options": hooks}},
			"files of a job that moves there":    {"PATCH", "/api/backup-jobs/" + l.job2, object{"datasource_id": id, "storage_location_id": l.storage, "backup_options": files}},
			"a hook of its job":                  {"PATCH", "/api/backup-jobs/" + strings.ToUpper(l.job), object{"backup_options": hooks}},
			"SQL of a sync into it":              {"POST", "/api/db-sync-jobs", with(with(sync, id, "target_datasource_id"), masked, "sync_options")},
			"assertions of a drill of it":        {"POST", "/api/restore-drill-jobs", object{"name": "x", "datasource_id": id, "drill_options": asserted}},
			"assertions of a drill that runs on": {"POST", "/api/restore-drill-jobs", object{"name": "x", "datasource_id": l.datasource2, "target_datasource_id": id, "drill_options": asserted}},
		} {
			answer := l.ana.call(call.method, call.path, call.body)
			require.Equal(t, http.StatusForbidden, answer.status, "%s, %s: %s", name, id, answer.text)
		}
		require.Equal(t, http.StatusNotFound, l.ana.call("POST", "/api/datasources/"+id+"/query", object{"statement": "SELECT 1"}).status)
	}
	require.ElementsMatch(t, []string{l.job, l.job2}, l.call("GET", "/api/backup-jobs", nil).ids("id"))
	require.Equal(t, l.datasource2, l.call("GET", "/api/backup-jobs/"+l.job2, nil).ok(200).get("datasource_id"))
	l.ana.call("POST", "/api/backup-jobs", object{"name": "x", "datasource_id": strings.ToUpper(l.datasource2), "storage_location_id": l.storage, "backup_options": hooks}).ok(201)
}

// TestALocationIsATargetOnceHoweverItsIDIsWritten: a backup that is copied to where it is has one copy less than its job says.
func TestALocationIsATargetOnceHoweverItsIDIsWritten(t *testing.T) {
	f := signedIn(t)
	job, datasource, storage := f.job("orders")
	options := object{"storage_strategy": "replicate", "storage_targets": []object{{"storage_location_id": storage}}}
	document := object{"name": "x", "datasource_id": datasource, "storage_location_id": strings.ToUpper(storage), "backup_options": options}
	const field = "backup_options.storage_targets[0].storage_location_id"
	f.call("POST", "/api/backup-jobs", document).wrong(field)
	f.call("PATCH", "/api/backup-jobs/"+job, object{"storage_location_id": strings.ToUpper(storage), "backup_options": options}).wrong(field)
	text := "backup_jobs:\n  - name: x\n    datasource: orders\n    storage_location_id: " + strings.ToUpper(storage) +
		"\n    backup_options: {storage_strategy: replicate, storage_targets: [{storage_location_id: " + storage + "}]}\n"
	f.call("POST", "/api/system/config", text, "Content-Type", yamlType).wrong("backup_jobs[0]." + field)
}
