package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
