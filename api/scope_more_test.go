package api

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// copies is limited with another datasource for each team, and a sync job and a drill job of each with a run.
type copies struct {
	limited
	spare, spare2       string
	sync, sync2, mixed  string
	drill, drill2       string
	ran, ran2, ranMixed string
	proved, proved2     string
}

func newCopies(t *testing.T, rules ...object) copies {
	t.Helper()
	c := copies{limited: newLimited(t, rules...)}
	c.temporal.On("CancelWorkflow", mock.Anything, mock.Anything, mock.Anything).Return(nil)
	spare := func(name, tag string) string {
		body := datasourceBody(name)
		body["tags"], body["connection_config"].(object)["host"] = []string{tag}, name+".example.com"
		return c.call("POST", "/api/datasources", body).ok(201).get("id").(string)
	}
	c.spare, c.spare2 = spare("spare-a", "team-a"), spare("spare-b", "team-b")
	c.sync, c.sync2, c.mixed = c.newSync(c.datasource, c.spare, c.storage, "spare-a"), c.newSync(c.datasource2, c.spare2, c.storage2, "spare-b"), c.newSync(c.datasource2, c.spare, c.storage, "spare-a")
	c.drill = c.newDrill(c.datasource, c.job)
	c.drill2 = c.newDrill(c.datasource2, c.job2)
	run := func(path string) string {
		id := c.call("POST", path+"/run", nil).ok(202).get("id").(string)
		return id
	}
	c.ran, c.ran2, c.ranMixed = run("/api/db-sync-jobs/"+c.sync), run("/api/db-sync-jobs/"+c.sync2), run("/api/db-sync-jobs/"+c.mixed)
	c.proved, c.proved2 = run("/api/restore-drill-jobs/"+c.drill), run("/api/restore-drill-jobs/"+c.drill2)
	return c
}

func syncBody(source, target, storage, into string) object {
	return object{
		"name": "sync " + uuid.NewString(), "source_datasource_id": source, "target_datasource_id": target, "storage_location_id": storage,
		"confirmation_phrase": "RESTORE " + into,
	}
}

func (l limited) newSync(source, target, storage, into string) string {
	l.t.Helper()
	return l.call("POST", "/api/db-sync-jobs", syncBody(source, target, storage, into)).ok(201).get("id").(string)
}

func (l limited) newDrill(datasource, job string) string {
	l.t.Helper()
	body := object{"name": "drill " + uuid.NewString(), "datasource_id": datasource, "backup_job_id": job}
	return l.call("POST", "/api/restore-drill-jobs", body).ok(201).get("id").(string)
}

// requireSeen checks what a caller sees of the syncs and drills: lists, and each by its id.
func (c copies) requireSeen(t *testing.T, caller *fixture, seen ...string) {
	t.Helper()
	for path, all := range map[string][]string{
		"/api/db-sync-jobs": {c.sync, c.sync2, c.mixed}, "/api/db-sync-executions": {c.ran, c.ran2, c.ranMixed},
		"/api/restore-drill-jobs": {c.drill, c.drill2}, "/api/restore-drill-executions": {c.proved, c.proved2},
	} {
		var expected []string
		for _, id := range all {
			status := http.StatusNotFound
			if slices.Contains(seen, id) {
				expected, status = append(expected, id), http.StatusOK
			}
			require.Equal(t, status, caller.call("GET", path+"/"+id, nil).status, "%s %s", path, id)
		}
		require.ElementsMatch(t, expected, caller.call("GET", path, nil).ids("id"), path)
	}
}

func TestASyncIsInScopeWithBothItsEndsAndADrillWithItsBackups(t *testing.T) {
	for name, tc := range map[string]struct {
		rule func(c copies) object
		seen func(c copies) []string
	}{
		"limited by the tag of one team": {
			func(copies) object { return object{"resource": "datasource", "tag": "team-a"} },
			func(c copies) []string { return []string{c.sync, c.ran, c.drill, c.proved} },
		},
		"limited to one end of each": {
			func(c copies) object { return object{"resource": "datasource", "resource_id": c.spare} },
			func(copies) []string { return nil },
		},
		"denied one end": {
			func(c copies) object {
				return object{"effect": "deny", "resource": "datasource", "resource_id": c.datasource2}
			},
			func(c copies) []string { return []string{c.sync, c.ran, c.drill, c.proved} },
		},
		"denied a team by its tag": {
			func(copies) object { return object{"effect": "deny", "resource": "datasource", "tag": "team-a"} },
			func(c copies) []string { return []string{c.sync2, c.ran2, c.drill2, c.proved2} },
		},
		"limited to a storage location": {
			func(c copies) object { return object{"resource": "storage_location", "resource_id": c.storage} },
			func(c copies) []string { return []string{c.sync, c.ran, c.mixed, c.ranMixed, c.drill, c.proved} },
		},
		"limited to a backup job": {
			func(c copies) object { return object{"resource": "backup_job", "resource_id": c.job} },
			func(c copies) []string { return []string{c.drill, c.proved} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCopies(t)
			c.limit(tc.rule(c))
			c.requireSeen(t, c.ana, tc.seen(c)...)
		})
	}
}

func TestDenyWinsOverWhatIsAllowed(t *testing.T) {
	c := newCopies(t, object{"resource": "datasource", "tag": "team-a"})
	c.limit(object{"effect": "deny", "resource": "datasource", "resource_id": c.spare})
	c.requireSeen(t, c.ana, c.drill, c.proved)
}

func TestSyncsAndDrillsOfOthersAreOutOfReach(t *testing.T) {
	c := newCopies(t, object{"resource": "datasource", "tag": "team-a"})
	for name, call := range map[string]struct {
		method, path string
		body         any
		status       int
	}{
		"update another's sync":           {"PATCH", "/api/db-sync-jobs/" + c.sync2, object{"name": "x"}, 404},
		"delete another's sync":           {"DELETE", "/api/db-sync-jobs/" + c.sync2, nil, 404},
		"run another's sync":              {"POST", "/api/db-sync-jobs/" + c.sync2 + "/run", nil, 404},
		"run one of both teams":           {"POST", "/api/db-sync-jobs/" + c.mixed + "/run", nil, 404},
		"cancel another's run":            {"POST", "/api/db-sync-executions/" + c.ran2 + "/cancel", nil, 404},
		"retry another's run":             {"POST", "/api/db-sync-executions/" + c.ran2 + "/retry", nil, 404},
		"follow another's run":            {"GET", "/api/db-sync-executions/" + c.ran2 + "/events", nil, 404},
		"the log of another's run":        {"GET", "/api/db-sync-executions/" + c.ran2 + "/logs", nil, 404},
		"copy from another":               {"POST", "/api/db-sync-jobs", syncBody(c.datasource2, c.datasource, c.storage, "a"), 422},
		"copy into another":               {"POST", "/api/db-sync-jobs", syncBody(c.datasource, c.datasource2, c.storage, "b"), 422},
		"move a sync to another":          {"PATCH", "/api/db-sync-jobs/" + c.sync, object{"target_datasource_id": c.datasource2}, 422},
		"update another's drill":          {"PATCH", "/api/restore-drill-jobs/" + c.drill2, object{"name": "x"}, 404},
		"delete another's drill":          {"DELETE", "/api/restore-drill-jobs/" + c.drill2, nil, 404},
		"run another's drill":             {"POST", "/api/restore-drill-jobs/" + c.drill2 + "/run", nil, 404},
		"the times of another's drill":    {"GET", "/api/restore-drill-jobs/" + c.drill2 + "/recovery-times", nil, 404},
		"cancel another's drill":          {"POST", "/api/restore-drill-executions/" + c.proved2 + "/cancel", nil, 404},
		"prove another's backups":         {"POST", "/api/restore-drill-jobs", object{"name": "x", "datasource_id": c.datasource2}, 422},
		"prove on another's server":       {"POST", "/api/restore-drill-jobs", object{"name": "x", "datasource_id": c.datasource, "target_datasource_id": c.datasource2}, 422},
		"change its own sync":             {"PATCH", "/api/db-sync-jobs/" + c.sync, object{"run_on_manual": true}, 200},
		"make a sync of its own":          {"POST", "/api/db-sync-jobs", syncBody(c.spare, c.datasource, c.storage, "a"), 422}, // a circle
		"cancel its own run":              {"POST", "/api/db-sync-executions/" + c.ran + "/cancel", nil, 202},
		"the log of its own run":          {"GET", "/api/db-sync-executions/" + c.ran + "/logs", nil, 200},
		"change its own drill":            {"PATCH", "/api/restore-drill-jobs/" + c.drill, object{"max_backup_age_hours": 7}, 200},
		"the times of its own drill":      {"GET", "/api/restore-drill-jobs/" + c.drill + "/recovery-times", nil, 200},
		"run its own drill a second time": {"POST", "/api/restore-drill-jobs/" + c.drill + "/run", nil, 409},
	} {
		t.Run(name, func(t *testing.T) {
			caller := *c.ana
			caller.t = t
			answer := caller.call(call.method, call.path, call.body)
			require.Equal(t, call.status, answer.status, answer.text)
		})
	}
}

// What somebody could not see once it is made, they can not make: a sync without a storage location belongs to none.
func TestNobodyMakesASyncOrDrillOutsideOfTheirLimit(t *testing.T) {
	c := newCopies(t)
	c.limit(object{"resource": "storage_location", "resource_id": c.storage})
	direct := syncBody(c.datasource, c.spare2, c.storage, "spare-b")
	delete(direct, "storage_location_id")
	c.ana.call("POST", "/api/db-sync-jobs", direct).problem(403)
	c.ana.call("PATCH", "/api/db-sync-jobs/"+c.sync, object{"storage_location_id": nil}).ok(200)
	c.ana.call("POST", "/api/restore-drill-jobs", object{"name": "any backup", "datasource_id": c.datasource}).problem(403)
	c.ana.call("POST", "/api/restore-drill-jobs", object{"name": "of the job", "datasource_id": c.datasource, "backup_job_id": c.job}).ok(201)
}

// The datasources of a run are those that it copied, whatever the job copies today.
func TestARunBelongsToWhatItCopied(t *testing.T) {
	c := newCopies(t, object{"resource": "datasource", "tag": "team-a"})
	dbtest.Execute(t, c.url, `UPDATE database_sync_jobs SET source_datasource_id = $2 WHERE id = $1`, c.mixed, c.datasource)
	c.ana.call("GET", "/api/db-sync-jobs/"+c.mixed, nil).ok(200)
	c.ana.call("GET", "/api/db-sync-executions/"+c.ranMixed, nil).problem(404)
	dbtest.Execute(t, c.url, `UPDATE database_sync_executions SET metadata = metadata - 'sync' WHERE id = $1`, c.ranMixed)
	c.ana.call("GET", "/api/db-sync-executions/"+c.ranMixed, nil).ok(200)
	dbtest.Execute(t, c.url, `UPDATE database_sync_executions SET sync_job_id = NULL WHERE id = $1`, c.ranMixed)
	c.ana.call("GET", "/api/db-sync-executions/"+c.ranMixed, nil).problem(404)
	dbtest.Execute(t, c.url, `UPDATE restore_drill_executions SET backup_execution_id = $2 WHERE id = $1`, c.proved, c.backup2)
	c.ana.call("GET", "/api/restore-drill-executions/"+c.proved, nil).problem(404)
}

func TestNotificationsAreOfWhatTheirReaderSees(t *testing.T) {
	c := newCopies(t, object{"resource": "datasource", "tag": "team-a"})
	dbtest.Execute(t, c.url, `DELETE FROM notifications`) // of the backups
	ids := map[string]string{}
	for name, about := range map[string]struct {
		kind domain.EntityType
		id   string
	}{
		"datasource": {domain.EntityDatasource, c.datasource}, "datasource b": {domain.EntityDatasource, c.datasource2},
		"job": {domain.EntityBackupJob, c.job}, "job b": {domain.EntityBackupJob, c.job2}, "no job": {domain.EntityBackupJob, uuid.NewString()},
		"sync": {domain.EntitySyncJob, c.sync}, "sync b": {domain.EntitySyncJob, c.sync2}, "sync of both": {domain.EntitySyncJob, c.mixed},
		"drill": {domain.EntityDrillJob, c.drill}, "drill b": {domain.EntityDrillJob, c.drill2},
		"storage": {domain.EntityStorageLocation, c.storage2}, "system": {domain.EntitySystem, ""},
	} {
		require.NoError(t, c.db.AddNotification(context.Background(), db.Notification{
			Type: domain.NotifyCleanupCompleted, Severity: domain.SeverityInfo, EntityType: about.kind, EntityID: about.id, Title: name, Message: name,
		}))
	}
	for _, item := range c.call("GET", "/api/notifications", nil).get("items").([]any) {
		ids[item.(object)["title"].(string)] = item.(object)["id"].(string)
	}
	dbtest.Execute(t, c.url, `UPDATE notifications SET dispatched_at = now()`)
	require.Len(t, ids, 12)
	seen := []string{"datasource", "job", "sync", "drill", "storage"}
	var expected []string
	for _, name := range seen {
		expected = append(expected, ids[name])
	}
	require.ElementsMatch(t, expected, c.ana.call("GET", "/api/notifications", nil).ids("id"))
	require.InDelta(t, len(seen), c.ana.call("GET", "/api/notifications/unread-count", nil).ok(200).get("unread"), 0)
	for name, id := range ids {
		status := http.StatusNotFound
		if slices.Contains(seen, name) {
			status = http.StatusOK
		}
		require.Equal(t, status, c.ana.call("GET", "/api/notifications/"+id, nil).status, name)
		require.Equal(t, status, c.ana.call("POST", "/api/notifications/"+id+"/read", nil).status, name)
	}
	dbtest.Execute(t, c.url, `UPDATE notifications SET read_at = NULL`)
	require.InDelta(t, len(seen), c.ana.call("POST", "/api/notifications/read-all", object{}).ok(200).get("read"), 0)
	require.InDelta(t, len(ids)-len(seen), c.call("GET", "/api/notifications/unread-count", nil).get("unread"), 0)
	c.ana.call("DELETE", "/api/notifications/"+ids["job b"], nil).problem(404)
	c.ana.call("DELETE", "/api/notifications/"+ids["job"], nil).ok(204)
}

func TestTheDashboardAndHealthCountWhatTheirReaderSees(t *testing.T) {
	c := newCopies(t, object{"resource": "datasource", "tag": "team-a"})
	dbtest.Execute(t, c.url, `UPDATE backup_executions SET compressed_size_bytes = 400`)
	dbtest.Execute(t, c.url, `UPDATE datasources SET status = 'critical'`)
	for _, table := range []string{"backup_jobs", "database_sync_jobs", "restore_drill_jobs"} {
		dbtest.Execute(t, c.url, `UPDATE `+table+` SET schedule_cron = '0 3 * * *', created_at = now() - interval '10 days'`)
	}
	view := c.ana.call("GET", "/api/dashboard/overview", nil).ok(200)
	require.Equal(t, object{"datasources": 2.0, "enabled_datasources": 2.0, "storage_locations": 2.0, "enabled_storage_locations": 2.0,
		"backup_jobs": 1.0, "enabled_backup_jobs": 1.0, "backups": 1.0, "stored_bytes": 400.0}, view.get("totals"))
	days := view.get("days").([]any)
	require.InDelta(t, 1, days[len(days)-1].(object)["completed"], 0)
	var next []string
	for _, run := range view.get("next_runs").([]any) {
		next = append(next, run.(object)["kind"].(string)+" "+run.(object)["job_id"].(string))
	}
	require.ElementsMatch(t, []string{"backup " + c.job, "sync " + c.sync, "drill " + c.drill}, next)
	require.InDelta(t, 2, view.get("datasource_health", "counts", "critical"), 0)
	require.Len(t, c.call("GET", "/api/dashboard/overview", nil).ok(200).get("next_runs"), 7)

	dbtest.Execute(t, c.url, `UPDATE backup_jobs SET schedule_since = now() - interval '10 days'`)
	dbtest.Execute(t, c.url, `UPDATE backup_executions SET finished_at = now() - interval '5 days', created_at = now() - interval '5 days'`)
	c.temporal.On("CheckHealth", mock.Anything, mock.Anything).Return(nil, nil)
	health := c.ana.call("GET", "/api/health", nil).ok(200)
	require.Equal(t, object{"critical": 2.0}, health.get("datasources"))
	overdue := health.get("overdue_jobs").([]any)
	require.Len(t, overdue, 1)
	require.Equal(t, c.job, overdue[0].(object)["id"])
	require.InDelta(t, 4, c.call("GET", "/api/health", nil).get("datasources", "critical"), 0)
}

// refusedToLimited are the operations whose permission can be limited and that are refused to whoever is, with the reason.
var refusedToLimited = map[string]string{
	"approve": "who is limited decides on nobody else's requests", "reject": "who is limited decides on nobody else's requests",
	"list-notification-channels": theInstallations, "get-notification-channel": theInstallations, "test-notification-channel": theInstallations,
	"list-notification-deliveries": theInstallations, "get-notification-delivery": theInstallations, "resend-notification": theInstallations,
	"list-notification-templates": theInstallations, "list-notification-template-defaults": theInstallations,
	"preview-notification-template": theInstallations, "get-notification-template": theInstallations,
}

const theInstallations = "channels, templates and what was sent with them are of no datasource"

// An operation whose permission can be limited either enforces limits or is refused on purpose.
func TestEveryOperationThatCanBeLimitedIsOrSaysWhyNot(t *testing.T) {
	f := newFixture(t)
	for path, item := range f.server.api.OpenAPI().Paths {
		for _, operation := range operationsOf(item) {
			a, _ := operation.Metadata["access"].(access)
			if !slices.ContainsFunc(a.anyOf, auth.Scopable) {
				continue
			}
			_, enforces := enforcing[operation.OperationID]
			require.NotEqual(t, enforces, refusedToLimited[operation.OperationID] != "", "%s at %s", operation.OperationID, path)
		}
	}
}
