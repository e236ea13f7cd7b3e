package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// scriptsOf are the scripts of a section of docs/operations.md, one after the other.
func scriptsOf(t *testing.T, heading string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "operations.md"))
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## "+heading)
	require.True(t, found, heading)
	section, _, _ = strings.Cut(section, "\n## ")
	var scripts strings.Builder
	for i, block := range strings.Split(section, "```") {
		if script, ok := strings.CutPrefix(block, "sh\n"); ok && i%2 == 1 {
			scripts.WriteString(script)
		}
	}
	return scripts.String()
}

// What the documentation says of syncs and drills, by the client and by curl, works as it is written.
func TestTheDocumentedSyncAndDrillWork(t *testing.T) {
	s := newSetup(t, withRows(200))
	target := s.syncTarget(t, s.database+"_copy")
	requireCompleted(t, s.backUp(t))
	sh := newShell(t)
	sh.write(t, "owner.password", ownerPassword+"\n")
	signIn := "dataguardian login --email " + ownerEmail + " --password-from owner.password >/dev/null\nAPI=" + shared.server.URL + "/api\n" +
		`AUTH="Authorization: Bearer $(curl -fsS $API/auth/login -H 'Content-Type: application/json' -d '{"email":"` + ownerEmail + `","password":"` + ownerPassword + `"}' | jq -r .token)"` + "\n"

	script := adapt(t, scriptsOf(t, "Syncs"), "orders-staging", target.Name, "--source orders", `--source "`+s.datasource.Name+`"`,
		"--storage disk", `--storage "`+s.storage.Name+`"`, "staging", s.database+"-staging")
	out, code := sh.run(t, signIn+script)
	require.Zero(t, code, out)
	require.Contains(t, out, "event: end")
	require.NotContains(t, out, "failed")
	require.Equal(t, "true", s.scalar(t, target.Name, "select (bool_and(name = 'customer ' || id))::text from customers"))

	script = adapt(t, scriptsOf(t, "Restore drills"), "--datasource orders", `--datasource "`+s.datasource.Name+`"`, "proof", s.database+"-proof")
	out, code = sh.run(t, signIn+script)
	require.Zero(t, code, out)
	require.Contains(t, out, `"there are orders"`)
	require.Contains(t, out, `"recovery_seconds"`)
	require.NotContains(t, out, "failed")
}

// The client looks at runs, stops them and tries them again.
func TestTheClientShowsCancelsAndRetriesRuns(t *testing.T) {
	s := newSetup(t, withRows(50))
	target := s.keeping(t)
	requireCompleted(t, s.backUp(t))
	job := s.syncJob(t, target, func(d *client.SyncJobDocument) { d.DropExisting = false })
	failed := waitSync(t, startSync(t, job))
	require.Equal(t, domain.Failed, failed.Status)
	change := func(changes map[string]any) {
		t.Helper()
		_, err := shared.owner.SyncJobs().Update(t.Context(), job.ID, changes)
		require.NoError(t, err)
	}
	change(map[string]any{
		"drop_existing": true, "confirmation_phrase": client.ConfirmRestore(target.Name), "sync_options": map[string]any{"post_restore_sql": []string{"select pg_sleep(60)"}},
	})
	drill, err := shared.owner.DrillRuns().Start(t.Context(), drillJob(t, s.datasource, assertions(domain.DrillAssertion{Name: "slow", SQL: "select pg_sleep(25) is not null"})).ID)
	require.NoError(t, err)
	sh := newShell(t)
	sh.write(t, "owner.password", ownerPassword+"\n")
	out, code := sh.run(t, "FAILED="+failed.ID+"; DRILL="+drill.ID+"\n"+`
dataguardian login --email `+ownerEmail+` --password-from owner.password >/dev/null
if dataguardian drill-run cancel "$DRILL" --wait -o json >drill.json; then echo it was not cancelled; exit 1; fi
jq -e '.status == "cancelled"' drill.json
dataguardian drill-run logs "$DRILL" -o json | jq -e length
dataguardian sync-run logs "$FAILED"
STOPPED=$(dataguardian sync-run retry "$FAILED" -o id)
if dataguardian sync-run cancel "$STOPPED" --wait -o json >sync.json; then echo it was not cancelled; exit 1; fi
jq -e '.status == "cancelled"' sync.json
`)
	require.Zero(t, code, out)
	require.Contains(t, out, "MESSAGE", "the log of the sync")
	s.requireKept(t, target)
	change(map[string]any{"sync_options": map[string]any{"post_restore_sql": []string{}}})
	out, code = sh.run(t, `dataguardian sync-run retry `+failed.ID+` --wait`)
	require.Zero(t, code, out)
	require.Equal(t, "50", s.scalar(t, target.Name, "select count(*)::text from orders"), out)
}
