package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/auth"
)

func TestTheAuditTrailIsFiltered(t *testing.T) {
	f := signedIn(t)
	id := f.user("ana@example.com", "operator")
	ana := f.signIn("ana@example.com", ownerPassword)
	ana.call("POST", "/api/datasources", datasourceBody("x")).problem(403)
	f.call("POST", "/api/datasources", datasourceBody("x")).ok(201)
	middle := time.Now()
	f.call("POST", "/api/datasources", datasourceBody("y")).ok(201)

	items := func(query string) []any { return f.call("GET", auditPath+query, nil).ok(200).get("items").([]any) }
	all := items("")
	require.Equal(t, "datasource.create", all[0].(object)["action"], "newest first")
	require.Len(t, items("?action=datasource.create"), 2)
	require.Len(t, items("?action=datasource.create&to="+url.QueryEscape(middle.UTC().Format(time.RFC3339Nano))), 1)
	require.Len(t, items("?action=datasource.create&from="+url.QueryEscape(middle.UTC().Format(time.RFC3339Nano))), 1)
	require.Len(t, items("?actor="+id), 2, "the sign-in and the refusal")
	require.Len(t, items("?actor=ana@example.com&action=access.refused"), 1)
	require.Len(t, items("?resource=user&resource_id="+id), 2)
	require.Empty(t, items("?action="+url.QueryEscape("' OR 1=1 --")))
	f.call("GET", auditPath+"?actor=a%00b", nil)
	require.NotContains(t, f.log.String(), "request failed")

	cursor, seen := "", 0
	for {
		page := f.call("GET", auditPath+"?limit=2&cursor="+cursor, nil).ok(200)
		seen += len(page.get("items").([]any))
		if cursor = page.get("next_cursor").(string); cursor == "" {
			break
		}
	}
	require.Equal(t, len(all), seen)
	ana.call("GET", auditPath, nil).problem(403)
	require.NotContains(t, f.call("GET", auditPath, nil).text, dbPassword)
}

func TestTheAuditTrailIsExportedWhole(t *testing.T) {
	f := signedIn(t)
	const entries = 1203 // more than two pages of the export
	dbtest.Execute(t, f.url, `INSERT INTO audit_logs (id, actor_name, action, resource, created_at)
		SELECT gen_random_uuid(), 'somebody', 'test.entry', 'test', now() - n * interval '1 second' FROM generate_series(1, $1) n`, entries)
	answer := f.call("GET", auditPath+"/export?action=test.entry", nil).ok(200)
	require.Equal(t, ndjson, answer.header.Get("Content-Type"))
	seen, last := map[string]bool{}, ""
	lines := bufio.NewScanner(strings.NewReader(answer.text))
	for lines.Scan() {
		var entry AuditLog
		require.NoError(t, json.Unmarshal(lines.Bytes(), &entry))
		seen[entry.ID] = true
		at := entry.CreatedAt.Format(time.RFC3339Nano)
		require.True(t, last == "" || !entry.CreatedAt.After(mustTime(t, last)), "newest first")
		last = at
	}
	require.Len(t, seen, entries)
	require.Len(t, f.audits("audit.export"), 1)
	f.as(auth.SystemRead).call("GET", auditPath+"/export", nil).problem(403)
}

func mustTime(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	require.NoError(t, err)
	return at
}

// TestEveryChangeIsAuditedOnce walks the changes of access; that every other change is audited at all is
// looked at by the harness, after each test of this package.
func TestEveryChangeIsAuditedOnce(t *testing.T) {
	f := signedIn(t)
	f.starts()
	ids := map[string]string{"owner": f.me()}
	count := func() int {
		var n int
		require.NoError(t, f.connect().QueryRow(t.Context(), "SELECT count(*) FROM audit_logs").Scan(&n))
		return n
	}
	expand := func(text string) string {
		for name, id := range ids {
			text = strings.ReplaceAll(text, "{"+name+"}", id)
		}
		return text
	}
	for i, step := range []struct {
		method, path string
		body         any
		action       string
		keep         string // under which name the id of the answer is kept
	}{
		{"POST", "/api/auth/login", object{"email": ownerEmail, "password": ownerPassword}, "auth.login", ""},
		{"POST", rolesPath, object{"name": "dba", "permissions": []string{"datasources.read"}}, "role.create", "role"},
		{"PATCH", rolesPath + "/{role}", object{"description": "x"}, "role.update", ""},
		{"PUT", rolesPath + "/{role}/permissions", object{"permissions": []string{"datasources.write"}}, "role.update", ""},
		{"POST", usersPath, object{"email": "ana@example.com", "password": ownerPassword, "roles": []string{"operator"}}, "user.create", "user"},
		{"PATCH", usersPath + "/{user}", object{"name": "Ana", "password": "a quite new password"}, "user.update", ""},
		{"PUT", usersPath + "/{user}/roles", object{"roles": []string{"readonly"}}, "user.update", ""},
		{"DELETE", usersPath + "/{user}/sessions", nil, "user.sessions_ended", ""},
		{"DELETE", usersPath + "/{user}", nil, "user.delete", ""},
		{"DELETE", rolesPath + "/{role}", nil, "role.delete", ""},
		{"POST", tokensPath, object{"name": "ci", "permissions": []string{"datasources.read"}}, "api_token.create", "token"},
		{"DELETE", tokensPath + "/{token}", nil, "api_token.revoke", ""},
		{"POST", "/api/auth/password", object{"current_password": ownerPassword, "new_password": "a quite new password"}, "auth.password_changed", ""},
		{"DELETE", "/api/auth/sessions", nil, "auth.sessions_ended", ""},
		{"POST", "/api/datasources", datasourceBody("x"), "datasource.create", "datasource"},
		{"PATCH", "/api/datasources/{datasource}", object{"connection_config": object{"password": "another secret of it"}}, "datasource.update", ""},
		{"POST", "/api/storage-locations", storageBody("x"), "storage_location.create", "storage"},
		{"PATCH", "/api/storage-locations/{storage}", object{"name": "y"}, "storage_location.update", ""},
		{"POST", "/api/backup-jobs", object{"name": "x", "datasource_id": "{datasource}", "storage_location_id": "{storage}"}, "backup_job.create", "job"},
		{"PATCH", "/api/backup-jobs/{job}", object{"name": "y"}, "backup_job.update", ""},
		{"POST", "/api/backup-jobs/{job}/run", nil, "backup_job.run", "execution"},
		{"POST", "/api/executions/{execution}/pin", object{"pinned": true}, "execution.pin", ""},
		{"GET", auditPath + "/export", nil, "audit.export", ""},
		{"POST", "/api/auth/logout-everywhere", nil, "auth.signed_out_everywhere", ""},
	} {
		name := fmt.Sprintf("%d %s %s", i, step.method, step.path)
		var body any
		if step.body != nil {
			text, err := json.Marshal(step.body)
			require.NoError(t, err)
			body = expand(string(text))
		}
		before, of := count(), len(f.audits(step.action))
		answer := f.call(step.method, expand(step.path), body)
		require.Less(t, answer.status, 300, "%s: %s", name, answer.text)
		require.Equal(t, before+1, count(), name)
		require.Len(t, f.audits(step.action), of+1, name)
		if step.keep != "" {
			ids[step.keep] = answer.get("id").(string)
		}
	}
	for _, action := range []string{"user.create", "user.update", "datasource.create", "datasource.update", "api_token.create"} {
		for _, entry := range f.audits(action) {
			for _, secret := range []string{ownerPassword, dbPassword, "another secret of it", "a quite new password", "dgt_", "argon2id"} {
				require.NotContains(t, entry.Changes, secret, action)
			}
		}
	}
}
