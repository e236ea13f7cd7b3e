package integration

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/cli"
	"github.com/dataguardian/dataguardian/internal/config"
)

// cliEnv makes this binary the command line client, as cmd/dataguardian composes it.
const cliEnv = "DG_INTEGRATION_CLI"

func runCLI() int {
	root := &cobra.Command{Use: "dataguardian", SilenceUsage: true, SilenceErrors: true}
	root.AddGroup(&cobra.Group{ID: cli.GroupID})
	root.AddCommand(cli.Commands(cli.Options{
		LookupEnv: config.Lookup,
		AddFlags:  func(set *pflag.FlagSet) { config.AddFlags(set, config.ClientFlags) },
		Settings: func(flags *pflag.FlagSet) (cli.Settings, error) {
			c, err := config.LoadClient(flags)
			return cli.Settings{URL: c.URL, Token: c.Token.Reveal(), CAFile: c.CAFile, CredentialsFile: c.CredentialsFile}, err
		},
	})...)
	err := root.ExecuteContext(context.Background())
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "dataguardian:", err)
	if coded, ok := err.(interface{ ExitCode() int }); ok { //nolint:errorlint // the outermost says it
		return coded.ExitCode()
	}
	return 1
}

// shell runs scripts in a directory where dataguardian is this binary.
type shell struct{ dir string }

func newShell(t *testing.T) shell {
	t.Helper()
	s := shell{dir: t.TempDir()}
	self, err := os.Executable()
	require.NoError(t, err)
	s.write(t, "bin/dataguardian", fmt.Sprintf("#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", cliEnv, self))
	require.NoError(t, os.Chmod(filepath.Join(s.dir, "bin", "dataguardian"), 0o755)) //nolint:gosec // it is a program
	return s
}

func (s shell) write(t *testing.T, name, content string) {
	t.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}

// run gives what the script wrote and its exit code.
func (s shell) run(t *testing.T, script string) (output string, code int) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "sh", "-eu")
	command.Dir, command.Stdin = s.dir, strings.NewReader(script)
	command.Env = []string{"PATH=" + filepath.Join(s.dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + s.dir, "DATAGUARDIAN_URL=" + shared.server.URL}
	out, err := command.CombinedOutput()
	if command.ProcessState == nil {
		require.NoError(t, err)
	}
	return string(out), command.ProcessState.ExitCode()
}

// quickStart is the block of the README that begins with the sign-in by the client.
func quickStart(t *testing.T) string {
	t.Helper()
	return blockOf(t, "README.md", "dataguardian setup")
}

// blockOf is the first script in a document that holds what is given.
func blockOf(t *testing.T, document, holds string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", document))
	require.NoError(t, err)
	for _, block := range strings.Split(string(text), "```") {
		if script, ok := strings.CutPrefix(block, "sh\n"); ok && strings.Contains(script, holds) {
			return script
		}
	}
	t.Fatalf("%s has no script with %q", document, holds)
	return ""
}

// adapt replaces what is the reader's own in the quick start. Everything that is replaced has to be there.
func adapt(t *testing.T, script string, own ...string) string {
	t.Helper()
	for i := 0; i < len(own); i += 2 {
		require.Contains(t, script, own[i])
		script = strings.ReplaceAll(script, own[i], own[i+1])
	}
	return script
}

func TestTheClientDrivesTheQuickStartFromSignInToRestore(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(shared.postgres.DatabaseURL("postgres"))
	require.NoError(t, err)
	s := setup{database: "orders"}
	s.createDatabase(t, "orders")
	s.rows = 2_000
	s.fill(t)
	sh := newShell(t)
	password, _ := address.User.Password()
	script := adapt(t, quickStart(t),
		"head -c 18 /dev/urandom | base64 >", "echo "+ownerPassword+" >", "the password of orders", password,
		"setup --email owner@example.com --name Owner", "login --email "+ownerEmail, // the tests' owner is there already
		"--host 127.0.0.1 --port 5432", "--host "+address.Hostname()+" --port "+address.Port(),
		"--username orders", "--username "+address.User.Username(),
		"/var/backups/dataguardian", filepath.Join(sh.dir, "backups"),
	)
	out, code := sh.run(t, script)
	require.Zero(t, code, out)
	require.NotContains(t, out, password)
	for _, secret := range []string{"owner.password", "orders.password"} {
		info, err := os.Stat(filepath.Join(sh.dir, secret))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), secret)
	}
	require.Contains(t, out, "completed")
	s.requireSame(t, "orders", "orders_restored")

	t.Run("a restore that fails ends with 1", func(t *testing.T) {
		out, code := sh.run(t, `dataguardian backup restore "$(dataguardian backup list orders -o id | head -n 1)" --target orders --confirm "RESTORE orders" --wait`)
		require.Equal(t, 1, code, out)
		require.Contains(t, out, "drop_existing")
	})
	t.Run("a document changes what it names", func(t *testing.T) {
		sh.write(t, "config.yaml", "datasources:\n- {name: orders, tags: [quick, start], connection_config: {password: {from_file: orders.password}}}\n")
		out, code := sh.run(t, "dataguardian apply -f config.yaml && dataguardian apply -f config.yaml && dataguardian datasource test orders")
		require.Zero(t, code, out)
		require.Contains(t, out, "0 created, 1 updated, 0 unchanged")
		require.Contains(t, out, "0 created, 0 updated, 1 unchanged")
	})
	t.Run("who signed out is not signed in", func(t *testing.T) {
		out, code := sh.run(t, "dataguardian logout; dataguardian job list")
		require.Equal(t, 3, code, out)
	})
}

func TestTheTourWithCurlGoesFromSignInToRestore(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(shared.postgres.DatabaseURL("postgres"))
	require.NoError(t, err)
	password, _ := address.User.Password()
	s := setup{database: "curl_orders", rows: 2_000}
	s.createDatabase(t, s.database)
	s.fill(t)
	sh := newShell(t)
	script := adapt(t, blockOf(t, "README.md", "API="),
		"http://127.0.0.1:8080", shared.server.URL,
		"curl -fsS $API/auth/setup", "curl -sS -o setup.json $API/auth/setup", // the tests' owner is there already, which is refused
		"owner@example.com", ownerEmail, "correct-horse-battery", ownerPassword,
		"orders", s.database,
		`"host":"127.0.0.1","port":5432`, fmt.Sprintf(`"host":%q,"port":%s`, address.Hostname(), address.Port()),
		`"username":"curl_orders","password":"secret"`, fmt.Sprintf(`"username":%q,"password":%q`, address.User.Username(), password),
		`"name":"disk"`, `"name":"curl disk"`, `,"is_default":true`, "", // others share this platform
		"/var/backups/dataguardian", filepath.Join(sh.dir, "backups"),
	)
	out, code := sh.run(t, script)
	require.Zero(t, code, out)
	require.NotContains(t, out, password)
	require.Contains(t, out, `"status": "completed"`)
	s.requireSame(t, s.database, s.database+"_restored")
}
