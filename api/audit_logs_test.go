package api

import (
	"bufio"
	"encoding/json"
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
