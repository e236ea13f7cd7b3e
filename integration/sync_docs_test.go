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
	slow := drillJob(t, s.datasource, assertions(domain.DrillAssertion{Name: "slow", SQL: "select pg_sleep(25) is not null"}))
	sh := newShell(t)
	sh.write(t, "owner.password", ownerPassword+"\n")
	out, code := sh.run(t, "SYNC='"+job.Name+"'; DRILL='"+slow.Name+"'; CONFIRM='"+client.ConfirmRestore(target.Name)+"'\n"+`
dataguardian login --email `+ownerEmail+` --password-from owner.password >/dev/null
latest() { dataguardian "$1" list --job "$2" -o id | head -1; }
if dataguardian sync run "$SYNC" --wait; then echo it did not fail; exit 1; fi
RUN=$(latest sync-run "$SYNC")
dataguardian sync-run logs "$RUN" >sync.log
grep -q . sync.log
dataguardian sync update "$SYNC" --set 'sync_options.post_restore_sql=["select pg_sleep(60)"]' --drop-existing --confirm "$CONFIRM" >/dev/null
STOPPED=$(dataguardian sync-run retry "$RUN" -o id)
if dataguardian sync-run cancel "$STOPPED" --wait; then echo it was not cancelled; exit 1; fi
dataguardian sync-run get "$STOPPED" -o json | jq -e '.status == "cancelled"'
dataguardian sync update "$SYNC" --set 'sync_options.post_restore_sql=[]' >/dev/null
dataguardian sync-run retry "$RUN" --wait
STOPPED=$(dataguardian drill run "$DRILL" -o id)
if dataguardian drill-run cancel "$STOPPED" --wait; then echo it was not cancelled; exit 1; fi
dataguardian drill-run get "$STOPPED" -o json | jq -e '.status == "cancelled"'
dataguardian drill-run logs "$STOPPED"
`)
	require.Zero(t, code, out)
	require.Contains(t, out, "drop_existing", "why the first one failed")
	require.Equal(t, "50", s.scalar(t, target.Name, "select count(*)::text from orders"), out)
}
