package api

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/auth"
)

// ids reads the ids of a list.
func (r reply) ids(member string) []string {
	r.t.Helper()
	var out []string
	for _, item := range r.ok(200).get("items").([]any) {
		out = append(out, item.(object)[member].(string))
	}
	return out
}

// limited is a fixture with two teams' things, and a user who is limited to the first's by the tag team-a.
type limited struct {
	*fixture
	ana                         *fixture // has every permission there is to limit
	anaID                       string
	job, datasource, storage    string // of team a
	job2, datasource2, storage2 string // of team b
	backup, backup2             string
}

func newLimited(t *testing.T, rules ...object) limited {
	t.Helper()
	l := limited{fixture: signedIn(t)}
	l.job, l.datasource, l.storage = l.fixture.job("a")
	l.job2, l.datasource2, l.storage2 = l.fixture.job("b")
	l.call("PATCH", "/api/datasources/"+l.datasource, object{"tags": []string{"Team-A"}}).ok(200)
	l.call("PATCH", "/api/datasources/"+l.datasource2, object{"tags": []string{"team-b"}}).ok(200)
	l.backup, l.backup2 = l.completed(l.job, l.datasource, l.storage), l.completed(l.job2, l.datasource2, l.storage2)
	l.starts()
	permissions := make([]auth.Permission, 0)
	for _, p := range auth.Permissions() {
		if auth.Scopable(p) {
			permissions = append(permissions, p)
		}
	}
	l.call("POST", rolesPath, object{"name": "team", "permissions": permissions}).ok(201)
	l.anaID = l.user("ana@example.com", "team")
	for _, rule := range rules {
		l.limit(rule)
	}
	l.ana = l.signIn("ana@example.com", ownerPassword)
	return l
}

func (l limited) limit(rule object) string {
	l.t.Helper()
	body := object{"user_id": l.anaID, "permission": "*", "effect": "allow"}
	for name, value := range rule {
		body[name] = value
	}
	return l.call("POST", scopesPath, body).ok(201).get("id").(string)
}

func TestALimitHidesEverythingElse(t *testing.T) {
	l := newLimited(t, object{"resource": "datasource", "tag": " Team-A "})
	ana := l.ana
	require.Equal(t, []string{l.datasource}, ana.call("GET", "/api/datasources", nil).ids("id"))
	require.Equal(t, []string{l.job}, ana.call("GET", "/api/backup-jobs", nil).ids("id"))
	require.Equal(t, []string{l.backup}, ana.call("GET", "/api/executions", nil).ids("id"))
	require.Equal(t, []string{l.datasource}, ana.call("GET", "/api/backups/datasources", nil).ids("datasource_id"))
	require.Equal(t, []string{l.datasource}, ana.call("GET", "/api/backups/restore-targets", nil).ids("datasource_id"))
	require.Equal(t, []string{l.backup}, ana.call("GET", "/api/backups/datasources/"+l.datasource, nil).ids("execution_id"))
	require.Empty(t, ana.call("GET", "/api/executions?datasource="+l.datasource2, nil).ids("id"))
	require.Len(t, ana.call("GET", "/api/storage-locations", nil).ids("id"), 2, "a limit to datasources says nothing of storage")

	restore := func(target string) object {
		return object{"target_datasource_id": target, "confirmation_phrase": "RESTORE a", "drop_existing": true}
	}
	for name, call := range map[string]struct {
		method, path string
		body         any
		status       int
	}{
		"get its own datasource":      {"GET", "/api/datasources/" + l.datasource, nil, 200},
		"get another":                 {"GET", "/api/datasources/" + l.datasource2, nil, 404},
		"update another":              {"PATCH", "/api/datasources/" + l.datasource2, object{"name": "x"}, 404},
		"delete another":              {"DELETE", "/api/datasources/" + l.datasource2, nil, 404},
		"test another":                {"POST", "/api/datasources/" + l.datasource2 + "/test", nil, 404},
		"query another":               {"POST", "/api/datasources/" + l.datasource2 + "/query", object{"statement": "SELECT 1"}, 404},
		"schema of another":           {"GET", "/api/datasources/" + l.datasource2 + "/schema", nil, 404},
		"get another's job":           {"GET", "/api/backup-jobs/" + l.job2, nil, 404},
		"update another's job":        {"PATCH", "/api/backup-jobs/" + l.job2, object{"name": "x"}, 404},
		"run another's job":           {"POST", "/api/backup-jobs/" + l.job2 + "/run", nil, 404},
		"delete another's job":        {"DELETE", "/api/backup-jobs/" + l.job2, nil, 404},
		"test another's job":          {"POST", "/api/backup-jobs/" + l.job2 + "/test", nil, 404},
		"get another's execution":     {"GET", "/api/executions/" + l.backup2, nil, 404},
		"logs of another's execution": {"GET", "/api/executions/" + l.backup2 + "/logs", nil, 404},
		"events of another's":         {"GET", "/api/executions/" + l.backup2 + "/events", nil, 404},
		"pin another's backup":        {"POST", "/api/executions/" + l.backup2 + "/pin", object{"pinned": true}, 404},
		"delete another's backup":     {"DELETE", "/api/executions/" + l.backup2, nil, 404},
		"verify another's backup":     {"POST", "/api/executions/" + l.backup2 + "/verify", object{"mode": "quick"}, 404},
		"cancel another's":            {"POST", "/api/executions/" + l.backup2 + "/cancel", nil, 404},
		"backups of another":          {"GET", "/api/backups/datasources/" + l.datasource2, nil, 404},
		"restore another's backup":    {"POST", "/api/backups/" + l.backup2 + "/restore", restore(l.datasource), 404},
		"restore into another":        {"POST", "/api/backups/" + l.backup + "/restore", restore(l.datasource2), 422},
		"make a job of another":       {"POST", "/api/backup-jobs", object{"name": "x", "datasource_id": l.datasource2, "storage_location_id": l.storage}, 422},
		"move a job to another":       {"PATCH", "/api/backup-jobs/" + l.job, object{"datasource_id": l.datasource2}, 422},
		"make a datasource outside":   {"POST", "/api/datasources", datasourceBody("x"), 403},
		"take the tag away":           {"PATCH", "/api/datasources/" + l.datasource, object{"tags": []string{"team-a", "team-b"}}, 403},
		"browse what all stored":      {"GET", "/api/storage-locations/" + l.storage + "/files", nil, 403},
		"restore its own":             {"POST", "/api/backups/" + l.backup + "/restore", restore(l.datasource), 202},
		"run its own job":             {"POST", "/api/backup-jobs/" + l.job + "/run", nil, 202},
		"change its own datasource":   {"PATCH", "/api/datasources/" + l.datasource, object{"name": "a"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			caller := *ana
			caller.t = t
			answer := caller.call(call.method, call.path, call.body)
			require.Equal(t, call.status, answer.status, answer.text)
		})
	}
	inside := datasourceBody("new")
	inside["tags"] = []string{"team-a"}
	made := ana.call("POST", "/api/datasources", inside).ok(201).get("id").(string)
	require.Len(t, ana.call("GET", "/api/datasources", nil).ids("id"), 2)
	ana.call("POST", "/api/backup-jobs", object{"name": "new", "datasource_id": made, "storage_location_id": l.storage}).ok(201)
}

func TestALimitIsOfOnePermission(t *testing.T) {
	l := newLimited(t)
	l.limit(object{"permission": "backups.restore", "resource": "datasource", "resource_id": l.datasource})
	body := object{"target_datasource_id": l.datasource2, "confirmation_phrase": "RESTORE b"}
	l.ana.call("POST", "/api/backups/"+l.backup2+"/restore", body).problem(404)
	body["verification_mode"], body["confirmation_phrase"] = true, verifyPhrase
	l.ana.call("POST", "/api/backups/"+l.backup2+"/restore", body).ok(202)
	require.Len(t, l.ana.call("GET", "/api/datasources", nil).ids("id"), 2)
}

func TestDenyWinsAndLimitsAreLifted(t *testing.T) {
	l := newLimited(t)
	rule := l.limit(object{"effect": "deny", "resource": "backup_job", "resource_id": l.job2})
	require.Equal(t, []string{l.job}, l.ana.call("GET", "/api/backup-jobs", nil).ids("id"))
	require.Equal(t, []string{l.backup}, l.ana.call("GET", "/api/executions", nil).ids("id"))
	require.Len(t, l.ana.call("GET", "/api/datasources", nil).ids("id"), 2)
	require.Equal(t, []string{rule}, l.call("GET", scopesPath+"?user_id="+l.anaID, nil).ids("id"))
	l.call("GET", scopesPath+"/"+rule, nil).ok(200)
	l.call("DELETE", scopesPath+"/"+rule, nil).ok(204)
	l.call("DELETE", scopesPath+"/"+rule, nil).problem(404)
	require.Len(t, l.ana.call("GET", "/api/backup-jobs", nil).ids("id"), 2)
	require.Len(t, l.audits("scope.create"), 1)
	require.Len(t, l.audits("scope.delete"), 1)
}

func TestStorageIsLimited(t *testing.T) {
	l := newLimited(t)
	l.limit(object{"resource": "storage_location", "resource_id": l.storage})
	require.Equal(t, []string{l.storage}, l.ana.call("GET", "/api/storage-locations", nil).ids("id"))
	require.Equal(t, []string{l.job}, l.ana.call("GET", "/api/backup-jobs", nil).ids("id"))
	for _, path := range []string{"", "/files", "/files/download?path=x", "/usage", "/damage", "/import"} {
		l.ana.call("GET", "/api/storage-locations/"+l.storage2+path, nil).problem(404)
	}
	l.ana.call("PATCH", "/api/storage-locations/"+l.storage2, object{"name": "x"}).problem(404)
	l.ana.call("DELETE", "/api/storage-locations/"+l.storage2, nil).problem(404)
	l.ana.call("DELETE", "/api/storage-locations/"+l.storage2+"/files?path=x", nil).problem(404)
	l.ana.call("POST", "/api/backup-jobs", object{"name": "x", "datasource_id": l.datasource, "storage_location_id": l.storage2}).problem(422)
	l.ana.call("POST", "/api/storage-locations", storageBody("x")).problem(403)
}

// TestAnOperationThatKnowsNoScopesIsRefused: what other operations show is of everybody.
func TestAnOperationThatKnowsNoScopesIsRefused(t *testing.T) {
	l := newLimited(t, object{"resource": "datasource", "tag": "team-a"})
	l.ana.call("GET", "/api/notification-deliveries", nil).problem(403)
	require.NotEmpty(t, l.audits("access.refused"))
	for id := range enforcing {
		found := false
		for _, item := range l.server.api.OpenAPI().Paths {
			for _, operation := range operationsOf(item) {
				found = found || operation.OperationID == id
			}
		}
		require.True(t, found, "%s is no operation", id)
	}
}

func TestWhoIsLimitedHandsNothingOn(t *testing.T) {
	l := newLimited(t)
	manager := l.call("POST", rolesPath, object{"name": "manager", "permissions": []string{"access.manage", "datasources.read"}}).ok(201).get("id").(string)
	bob := l.user("bob@example.com", "manager")
	carl := l.user("carl@example.com", "manager")
	as := l.signIn("bob@example.com", ownerPassword)
	as.call("POST", usersPath, object{"email": "new@example.com", "roles": []string{"manager"}}).ok(201)
	rule := l.call("POST", scopesPath, object{"user_id": bob, "permission": "datasources.read", "effect": "allow", "resource": "datasource", "resource_id": l.datasource}).ok(201).get("id").(string)
	as.call("POST", usersPath, object{"email": "more@example.com", "roles": []string{"manager"}}).problem(403)
	as.call("PATCH", usersPath+"/"+carl, object{"password": "a quite new password"}).problem(403)
	as.call("DELETE", scopesPath+"/"+rule, nil).problem(403)
	as.call("POST", scopesPath, object{"role_id": manager, "permission": "*", "effect": "allow", "resource": "datasource", "resource_id": l.datasource2}).problem(403)
	as.call("POST", usersPath, object{"email": "nobody@example.com"}).ok(201)
}

func TestWhatNoScopeCanBe(t *testing.T) {
	l := newLimited(t)
	owner, admin := l.me(), ""
	for _, item := range l.call("GET", rolesPath, nil).ok(200).get("items").([]any) {
		if role := item.(object); role["name"] == "admin" {
			admin = role["id"].(string)
		}
	}
	good := object{"user_id": l.anaID, "permission": "*", "effect": "allow", "resource": "datasource", "tag": "x"}
	for name, tc := range map[string]struct {
		change object
		status int
	}{
		"the owner":                            {object{"user_id": owner}, 409},
		"a role of the system":                 {object{"user_id": nil, "role_id": admin}, 409},
		"a user and a role":                    {object{"role_id": admin}, 422},
		"nobody":                               {object{"user_id": nil}, 422},
		"a user who is not there":              {object{"user_id": uuid.NewString()}, 404},
		"a permission that there is not":       {object{"permission": "no.such"}, 422},
		"a permission that can not be limited": {object{"permission": "access.manage"}, 422},
		"an unknown effect":                    {object{"effect": "maybe"}, 422},
		"an unknown kind":                      {object{"resource": "user"}, 422},
		"a tag and an id":                      {object{"resource_id": l.datasource}, 422},
		"neither":                              {object{"tag": nil}, 422},
		"an id of another kind":                {object{"tag": nil, "resource_id": l.storage}, 422},
		"a tag of spaces":                      {object{"tag": "  "}, 422},
		"a good one":                           {object{}, 201},
	} {
		t.Run(name, func(t *testing.T) {
			f := *l.fixture
			f.t = t
			body := object{}
			for _, part := range []object{good, tc.change} {
				for key, value := range part {
					body[key] = value
					if value == nil {
						delete(body, key)
					}
				}
			}
			answer := f.call("POST", scopesPath, body)
			require.Equal(t, tc.status, answer.status, answer.text)
		})
	}
	l.call("POST", scopesPath, good).problem(409)
}

// A role that grants nothing that can be limited may still take something away from whoever has it.
func TestNobodyLiftsWhatARoleOfTheirOwnTakesAway(t *testing.T) {
	l := newLimited(t)
	manager := l.call("POST", rolesPath, object{"name": "manager", "permissions": []string{"access.manage"}}).ok(201).get("id").(string)
	l.user("bob@example.com", "team", "manager")
	rule := l.call("POST", scopesPath, object{"role_id": manager, "permission": "*", "effect": "deny", "resource": "datasource", "resource_id": l.datasource2}).ok(201).get("id").(string)
	bob := l.signIn("bob@example.com", ownerPassword)
	bob.call("GET", "/api/datasources/"+l.datasource2, nil).problem(404)
	bob.call("DELETE", scopesPath+"/"+rule, nil).problem(403)
	bob.call("GET", "/api/datasources/"+l.datasource2, nil).problem(404)
	l.call("DELETE", scopesPath+"/"+rule, nil).ok(204)
}

// Whose right to send SQL is limited to some datasources writes it into jobs about those only.
func TestSQLOfSyncsAndDrillsKeepsToWhatItsAuthorMayQuery(t *testing.T) {
	l := newLimited(t, object{"permission": "datasources.query", "resource": "datasource", "tag": "team-a"})
	other := datasourceBody("elsewhere")
	other["connection_config"].(object)["host"] = "elsewhere.example.com"
	elsewhere := l.call("POST", "/api/datasources", other).ok(201).get("id").(string)
	sync := func(into, name string, sql ...string) object {
		return object{
			"name": "into " + name, "source_datasource_id": elsewhere, "target_datasource_id": into, "confirmation_phrase": "RESTORE " + name,
			"sync_options": object{"post_restore_sql": sql},
		}
	}
	l.ana.call("POST", "/api/db-sync-jobs", sync(l.datasource2, "b", "DELETE FROM people")).problem(403)
	own := l.ana.call("POST", "/api/db-sync-jobs", sync(l.datasource, "a", "DELETE FROM people")).ok(201).get("id").(string)
	moved := object{"target_datasource_id": l.datasource2, "confirmation_phrase": "RESTORE b"}
	l.ana.call("PATCH", "/api/db-sync-jobs/"+own, moved).problem(403)
	l.call("PATCH", "/api/db-sync-jobs/"+own, moved).ok(200)

	drill := func(datasource, target string) object {
		return object{
			"name": "drill of " + datasource, "datasource_id": datasource, "target_datasource_id": target,
			"drill_options": object{"assertions": []object{{"name": "some", "sql": "SELECT 1"}}},
		}
	}
	l.ana.call("POST", "/api/restore-drill-jobs", drill(l.datasource2, l.datasource)).problem(403)
	l.ana.call("POST", "/api/restore-drill-jobs", drill(l.datasource, l.datasource2)).problem(403)
	proof := l.ana.call("POST", "/api/restore-drill-jobs", drill(l.datasource, l.datasource)).ok(201).get("id").(string)
	l.ana.call("PATCH", "/api/restore-drill-jobs/"+proof, object{"datasource_id": l.datasource2}).problem(403)
	l.ana.call("PATCH", "/api/restore-drill-jobs/"+proof, object{"enabled": false}).ok(200)
}

// What limits a caller is looked up on the connection of the transaction: with one connection in the pool another one
// never comes.
func TestOneConnectionIsEnoughForWhoIsLimited(t *testing.T) {
	l := newLimited(t, object{"permission": "datasources.query", "resource": "datasource", "tag": "team-a"})
	small, err := db.Open(t.Context(), db.Config{URL: l.url, MasterKey: dbtest.Key(), MaxConns: 1})
	require.NoError(t, err)
	t.Cleanup(small.Close)
	options := l.server.opts
	options.DB = small
	server, err := newServer(options)
	require.NoError(t, err)
	web := httptest.NewServer(server.engine)
	t.Cleanup(web.Close)
	web.Client().Timeout = 10 * time.Second
	ana := *l.ana
	ana.http = web

	hooks := object{"backup_options": object{"hooks": object{"before": []object{{"sql": "SELECT 1"}}}}}
	ana.call("PATCH", "/api/backup-jobs/"+l.job, hooks).ok(200)
	drill := ana.call("POST", "/api/restore-drill-jobs", object{"name": "proof", "datasource_id": l.datasource}).ok(201).get("id").(string)
	asserting := object{"drill_options": object{"assertions": []object{{"name": "some", "sql": "SELECT 1"}}}}
	ana.call("PATCH", "/api/restore-drill-jobs/"+drill, asserting).ok(200)
}
