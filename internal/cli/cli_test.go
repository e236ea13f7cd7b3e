package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/cli"
)

// home is where a test's commands keep their sign-ins, and the server they talk to.
type home struct {
	t        *testing.T
	settings cli.Settings
}

type result struct {
	code           int
	stdout, stderr string
}

// run runs a command line with standard input.
func (h home) run(stdin string, args ...string) result {
	h.t.Helper()
	var errs bytes.Buffer
	got := h.runOn(&errs, stdin, args...)
	got.stderr = errs.String() + got.stderr
	return got
}

// runOn is run with another standard error, such as a terminal; what the result has of it is the error that ended the command.
func (h home) runOn(errs io.Writer, stdin string, args ...string) result {
	h.t.Helper()
	root := &cobra.Command{Use: "dataguardian", SilenceUsage: true, SilenceErrors: true}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return cli.BadUsage(cmd, "%v", err) })
	root.AddGroup(&cobra.Group{ID: cli.GroupID})
	root.AddCommand(cli.Commands(cli.Options{
		LookupEnv: func(name string) (string, bool) { return "the value of " + name, name == "PASSWORD" },
		AddFlags:  func(set *pflag.FlagSet) { set.String("url", "", "") },
		Settings: func(set *pflag.FlagSet) (cli.Settings, error) {
			settings := h.settings
			if url, _ := set.GetString("url"); url != "" {
				settings.URL = url
			}
			return settings, nil
		},
	})...)
	var out bytes.Buffer
	root.SetArgs(args)
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(errs)
	err := root.ExecuteContext(context.Background())
	got := result{stdout: out.String()}
	if err != nil {
		got.stderr = err.Error()
		got.code = 1
		if coded, ok := err.(interface{ ExitCode() int }); ok {
			got.code = coded.ExitCode()
		}
	}
	return got
}

// api is a server that has one datasource and writes down what it was sent.
type api struct {
	*httptest.Server
	mu     sync.Mutex
	bodies map[string]map[string]any
	tokens []string
}

const someID = "0199c6f0-0000-7000-8000-000000000001"

func newAPI(t *testing.T) *api {
	a := &api{bodies: map[string]map[string]any{}}
	mux := http.NewServeMux()
	answer := func(pattern string, status int, text string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			a.mu.Lock()
			defer a.mu.Unlock()
			body := map[string]any{}
			if raw, _ := io.ReadAll(r.Body); len(raw) > 0 {
				_ = json.Unmarshal(raw, &body)
			}
			body["If-Match"] = r.Header.Get("If-Match")
			a.bodies[r.Method+" "+r.URL.Path] = body
			a.tokens = append(a.tokens, r.Header.Get("Authorization"))
			if status >= 400 {
				w.Header().Set("Content-Type", "application/problem+json")
			}
			w.WriteHeader(status)
			if r.URL.Query().Has("cursor") {
				_, _ = fmt.Fprint(w, `{"items":[]}`)
				return
			}
			_, _ = fmt.Fprint(w, text)
		})
	}
	answer("POST /api/auth/login", 200, `{"token":"dg_1","user":{"email":"me@example.com"}}`)
	answer("POST /api/auth/logout", 204, "")
	answer("GET /api/auth/me", 401, `{"status":401,"detail":"Sign in first."}`)
	answer("GET /api/datasources", 200, `{"items":[{"id":"`+someID+`","name":"orders","type":"postgres","tags":["a","b"],"big":12345678901234567890}],"next_cursor":"more"}`)
	answer("GET /api/datasources/{id}", 200, `{"id":"`+someID+`","name":"or\u001b[31mders","connection_config":{"port":5432}}`)
	answer("POST /api/datasources", 201, `{"id":"`+someID+`","name":"orders"}`)
	answer("PATCH /api/datasources/{id}", 422, `{"status":422,"detail":"The request is not valid: name: is taken.","errors":[{"location":"name","message":"is taken"}]}`)
	answer("DELETE /api/datasources/{id}", 204, "")
	answer("POST /api/datasources/{id}/test", 200, `{"status":"auth_failed","message":"no"}`)
	answer("POST /api/backups/{id}/restore", 202, `{"id":"`+someID+`"}`)
	answer("GET /api/backups/{id}/files", 200, `{"items":[{"path":"etc/hosts","type":"file","size":5}],"next_cursor":""}`)
	answer("GET /api/backups/{id}/download", 200, "the dump")
	answer("GET /api/executions/{id}", 200, `{"id":"`+someID+`","status":"failed","error_message":"the disk is full","metadata":{"operation":"backup"}}`)
	answer("GET /api/executions", 403, `{"status":403,"detail":"You need the permission executions.read for this."}`)
	answer("GET /api/system/config", 200, "datasources:\n- name: orders\n")
	answer("POST /api/system/config", 200, `{"dry_run":true,"changes":[{"kind":"datasources","name":"orders","action":"update","changes":{"before":{"pool":"a"},"after":{"pool":"b"},"secrets_replaced":["connection_config.password"]}},{"kind":"datasources","name":"x","action":"unchanged"}]}`)
	answer("GET /api/backup-jobs", 503, `{"status":503,"detail":"Later."}`)
	answer("POST /api/backup-jobs", 201, `{"id":"`+someID+`"}`)
	answer("POST /api/backup-jobs/{id}/retention/preview", 200, `{"kept":1,"backups":[{"execution_id":"a","keep":true},{"execution_id":"b","keep":false,"reasons":["old"]}]}`)
	answer("POST /api/datasources/{id}/query", 200, `{"columns":[{"name":"id"},{"name":"email"}],"rows":[[1,"a@example.com"],[2,null]],"truncated":true}`)
	mux.HandleFunc("DELETE /api/executions/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Approval-Id") == "a1" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Approval-Id", "a1")
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprint(w, `{"detail":"Nothing is done yet.","approval":{"id":"a1","permission":"executions.control"}}`)
	})
	answer("GET /api/access/users", 403, `{"status":403,"detail":"No."}`)
	answer("GET /api/access/scopes", 200, `{"items":[{"id":"1","user_id":"u1"},{"id":"2","user_id":"u2"}]}`)
	answer("GET /api/db-sync-executions/{id}", 200, `{"id":"`+someID+`","status":"failed","error_message":"the target is not empty","metadata":{"hint":"Set drop_existing."}}`)
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

func newHome(t *testing.T, url string) home {
	t.Helper()
	return home{t: t, settings: cli.Settings{URL: url, Token: "dg_given", CredentialsFile: filepath.Join(t.TempDir(), "dataguardian", "credentials.json")}}
}

func TestExitCodesTellWhatWentWrong(t *testing.T) {
	up := newAPI(t)
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	for name, tc := range map[string]struct {
		url  string
		args []string
		code int
		want string
	}{
		"success":                                  {up.URL, []string{"datasource", "get", "orders"}, 0, ""},
		"an execution that failed":                 {up.URL, []string{"execution", "watch", someID}, 1, "the disk is full"},
		"a run that failed, and what to do":        {up.URL, []string{"sync-run", "watch", someID}, 1, "the run failed: the target is not empty: Set drop_existing."},
		"a test whose outcome is bad":              {up.URL, []string{"datasource", "test", "orders"}, 1, "auth_failed"},
		"a request that is not valid":              {up.URL, []string{"datasource", "update", "orders", "--name", "x"}, 1, "The request is not valid:\n  name: is taken"},
		"an unknown flag":                          {up.URL, []string{"datasource", "list", "--nothing"}, 2, "unknown flag"},
		"an unknown command":                       {up.URL, []string{"datasource", "frob"}, 2, "no command"},
		"too few arguments":                        {up.URL, []string{"datasource", "get"}, 2, "the name or id of a datasource"},
		"an unknown form of output":                {up.URL, []string{"datasource", "list", "-o", "xml"}, 2, "--output"},
		"an address that is none":                  {"ftp://x", []string{"whoami"}, 2, "address"},
		"a deletion that nobody confirms":          {up.URL, []string{"datasource", "delete", "orders"}, 2, "--yes"},
		"a restore that nobody confirms":           {up.URL, []string{"backup", "restore", someID, "--target", "orders"}, 2, `--confirm "RESTORE orders"`},
		"a secret on the command line":             {up.URL, []string{"datasource", "create", "--set", "connection_config.password=x"}, 2, "--secret-from"},
		"nobody signed in":                         {up.URL, []string{"whoami"}, 3, "dataguardian login"},
		"without the permission":                   {up.URL, []string{"execution", "list"}, 3, "executions.read"},
		"a name that there is none of":             {up.URL, []string{"datasource", "get", "nothing"}, 4, "nothing"},
		"a path that there is none of":             {up.URL, []string{"storage", "list"}, 4, ""},
		"a server that says to come back":          {up.URL, []string{"job", "list"}, 5, "Later."},
		"a server that does not answer":            {down.URL, []string{"datasource", "list"}, 5, "does not answer"},
		"a password that nobody can be asked for":  {up.URL, []string{"login", "--email", "a@b.c"}, 2, "--password-from"},
		"standard input that is to be read twice":  {up.URL, []string{"datasource", "create", "-f", "-", "--secret-from", "connection_config.password=-"}, 2, "once"},
		"a document that is neither JSON nor YAML": {up.URL, []string{"datasource", "create", "-f", "-"}, 2, "neither"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t, tc.url)
			stdin := "{}"
			if strings.Contains(name, "neither") {
				stdin = "a: [1"
			}
			got := h.run(stdin, tc.args...)
			require.Equal(t, tc.code, got.code, got.stderr)
			require.Contains(t, got.stderr, tc.want)
		})
	}
}

func TestABackupIsDownloadedAndBrowsed(t *testing.T) {
	h := newHome(t, newAPI(t).URL)
	to := filepath.Join(t.TempDir(), "x.dump")
	got := h.run("", "backup", "download", someID, "--to", to)
	require.Zero(t, got.code, got.stderr)
	content, err := os.ReadFile(to)
	require.NoError(t, err)
	require.Equal(t, "the dump", string(content))
	require.Contains(t, h.run("", "backup", "download", someID, "--to", to).stderr, "exists")
	require.Equal(t, "the dump", h.run("", "backup", "download", someID, "--to", "-").stdout)
	require.Contains(t, h.run("", "backup", "files", someID, "--path", "etc").stdout, "etc/hosts")
}

func TestASessionIsKeptForItsServerOnly(t *testing.T) {
	up, other := newAPI(t), newAPI(t)
	h := newHome(t, up.URL)
	h.settings.Token = ""
	got := h.run("secret-word\n", "login", "--email", "me@example.com", "--password-from", "-")
	require.Zero(t, got.code, got.stderr)
	require.Equal(t, "secret-word", up.bodies["POST /api/auth/login"]["password"])
	require.NotContains(t, got.stdout+got.stderr, "dg_1", "the token is not shown")
	info, err := os.Stat(h.settings.CredentialsFile)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	h.settings.URL = "" // the server that was signed in to last
	require.Zero(t, h.run("", "datasource", "list").code)
	require.Equal(t, "Bearer dg_1", up.tokens[len(up.tokens)-1])
	require.Zero(t, h.run("", "datasource", "list", "--url", other.URL).code)
	require.Empty(t, other.tokens[len(other.tokens)-1], "another server does not see the token")

	require.NoError(t, os.Chmod(h.settings.CredentialsFile, 0o644))
	require.Contains(t, h.run("", "datasource", "list").stderr, "open to others")
	require.NoError(t, os.Chmod(h.settings.CredentialsFile, 0o600))

	require.Zero(t, h.run("", "logout").code)
	kept, err := os.ReadFile(h.settings.CredentialsFile)
	require.NoError(t, err)
	require.NotContains(t, string(kept), "dg_1")
}

func TestADocumentIsTheFileThenTheFlagsThenTheSecrets(t *testing.T) {
	up := newAPI(t)
	h := newHome(t, up.URL)
	secret := filepath.Join(t.TempDir(), "pw")
	require.NoError(t, os.WriteFile(secret, []byte("pass word\n"), 0o600))
	got := h.run("name: from the file\ntype: postgres\nconnection_config:\n  host: a\n  port: 1\n", "datasource", "create", "-f", "-",
		"--host", "b", "--tag", "x,y", "--set", "connection_config.port=5433", "--set", "enabled=false", "--set-string", "pool=123",
		"--secret-from", "connection_config.password="+secret, "-o", "id")
	require.Zero(t, got.code, got.stderr)
	require.Equal(t, someID+"\n", got.stdout)
	require.Equal(t, map[string]any{
		"name": "from the file", "type": "postgres", "tags": []any{"x", "y"}, "enabled": false, "pool": "123", "If-Match": "",
		"connection_config": map[string]any{"host": "b", "port": 5433.0, "password": "pass word"},
	}, up.bodies["POST /api/datasources"])
}

func TestAnUpdateCanAskForAVersion(t *testing.T) {
	up := newAPI(t)
	newHome(t, up.URL).run("", "datasource", "update", "orders", "--if-version", "3", "--name", "x")
	require.Equal(t, map[string]any{"name": "x", "If-Match": `"3"`}, up.bodies["PATCH /api/datasources/"+someID])
}

func TestARestoreSendsThePhraseAndTheIDOfItsTarget(t *testing.T) {
	up := newAPI(t)
	got := newHome(t, up.URL).run("", "backup", "restore", someID, "--target", "orders", "--database", "copy", "--confirm", "RESTORE orders")
	require.Zero(t, got.code, got.stderr)
	require.Equal(t, map[string]any{"target_datasource_id": someID, "target_database": "copy", "confirmation_phrase": "RESTORE orders", "If-Match": ""},
		up.bodies["POST /api/backups/"+someID+"/restore"])
}

func TestOutputIsForPeopleOrForPrograms(t *testing.T) {
	h := newHome(t, newAPI(t).URL)
	table := h.run("", "datasource", "list")
	require.Contains(t, table.stdout, "NAME")
	require.Contains(t, table.stdout, "a, b")
	require.Contains(t, table.stderr, "--cursor more")
	require.Contains(t, h.run("", "datasource", "list", "-o", "json").stdout, "12345678901234567890", "numbers stay exact")
	require.Contains(t, h.run("", "datasource", "list", "-o", "yaml").stdout, "- big: 12345678901234567890")
	require.NotContains(t, h.run("", "datasource", "get", "orders").stdout, "\x1b", "a name does not steer the terminal")
}

func TestTheShellIsGivenTheNames(t *testing.T) {
	h := newHome(t, newAPI(t).URL)
	got := h.run("", cobra.ShellCompRequestCmd, "datasource", "get", "")
	require.Contains(t, got.stdout, "orders")
	got = h.run("", cobra.ShellCompRequestCmd, "job", "create", "--datasource", "")
	require.Contains(t, got.stdout, "orders")
}

func TestADocumentIsSentWithItsReferencesResolved(t *testing.T) {
	up := newAPI(t)
	h := newHome(t, up.URL)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key"), []byte("of a file\n"), 0o600))
	file := filepath.Join(dir, "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("datasources:\n- {name: orders, a: {from_env: PASSWORD}, b: [{from_file: key}]}\n"), 0o600))
	got := h.run("", "apply", "-f", file, "--dry-run")
	require.Zero(t, got.code, got.stderr)
	require.Equal(t, []any{map[string]any{"name": "orders", "a": "the value of PASSWORD", "b": []any{"of a file"}}}, up.bodies["POST /api/system/config"]["datasources"])
	require.Contains(t, got.stdout, "update datasources orders\n  pool: a → b\n  secrets replaced: connection_config.password\n")
	require.Contains(t, got.stdout, "0 created, 1 updated, 1 unchanged: dry run")

	got = h.run("datasources: [{password: {from_env: NOTHING}}]", "apply", "-f", "-")
	require.Equal(t, 2, got.code)
	require.Contains(t, got.stderr, "datasources[0].password refers to the environment variable NOTHING")
	require.Equal(t, "datasources:\n- name: orders\n", h.run("", "export").stdout)
}

func TestASecretIsNoArgumentInsideJSONEither(t *testing.T) {
	up := newAPI(t)
	h := newHome(t, up.URL)
	for _, set := range []string{
		`connection_config={"host":"a","password":"hunter2"}`, `config={"headers":[{"name":"Authorization","value":"hunter2"}]}`, `config.headers=[{"name":"X","value":"hunter2"}]`,
	} {
		got := h.run("", "datasource", "create", "--set", set)
		require.Equal(t, 2, got.code, got.stderr)
		require.Contains(t, got.stderr, "secret")
		require.NotContains(t, got.stderr, "hunter2")
	}
	require.Empty(t, up.bodies)
	require.Zero(t, h.run("", "datasource", "create", "--set", `connection_config={"host":"a","password":""}`).code)
}

func TestADocumentMayNameThings(t *testing.T) {
	up := newAPI(t)
	got := newHome(t, up.URL).run("{name: nightly, datasource_id: orders}", "job", "create", "-f", "-")
	require.Zero(t, got.code, got.stderr)
	require.Equal(t, someID, up.bodies["POST /api/backup-jobs"]["datasource_id"])
}

func TestNamesThatMayNotBeReadAreAskedForOnce(t *testing.T) {
	up := newAPI(t)
	got := newHome(t, up.URL).run("", "scope", "list")
	require.Zero(t, got.code, got.stderr)
	require.Contains(t, got.stdout, "u1")
	require.Contains(t, got.stdout, "u2")
	require.Len(t, up.tokens, 2, "the scopes, and the users once")
}

func TestEachThingOfAListHasALineOfItsOwn(t *testing.T) {
	got := newHome(t, newAPI(t).URL).run("", "job", "retention", someID)
	require.Zero(t, got.code, got.stderr)
	require.Regexp(t, `backups\[0\] +execution_id a, keep yes\nbackups\[1\] +execution_id b, keep no, reasons old\n`, got.stdout)
}

func TestWhatAnotherPersonMustApproveIsRepeatedWithTheApproval(t *testing.T) {
	h := newHome(t, newAPI(t).URL)
	got := h.run("", "execution", "delete", someID, "--yes")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "another person who holds executions.control must approve it")
	require.Contains(t, got.stderr, "--approval a1")
	require.NotContains(t, got.stderr, "/api/")
	got = h.run("", "execution", "delete", someID, "--yes", "--approval", "a1")
	require.Zero(t, got.code, got.stderr)
}

func TestTheRowsOfAQueryAreATable(t *testing.T) {
	got := newHome(t, newAPI(t).URL).run("", "datasource", "query", "orders", "--statement", "SELECT 1")
	require.Zero(t, got.code, got.stderr)
	require.Equal(t, "id  email\n1   a@example.com\n2   -\n", got.stdout)
	require.Contains(t, got.stderr, "more rows")
}

func TestATokenGoesToNoServerThatWasNotNamed(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		require.Equal(t, "Bearer dgt_of_another_server", r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, `{"items": [], "next_cursor": ""}`)
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "credentials.json")
	require.NoError(t, os.WriteFile(file, []byte(fmt.Sprintf(`{"current": %q, "servers": {}}`, server.URL)), 0o600))
	h := home{t, cli.Settings{Token: "dgt_of_another_server", CredentialsFile: file}}
	refused := h.run("", "datasource", "list")
	require.Equal(t, 2, refused.code)
	require.Contains(t, refused.stderr, "DATAGUARDIAN_URL")
	require.NotContains(t, refused.stderr, "dgt_")
	require.Zero(t, asked, "the server that was signed in to last does not get it")
	require.Zero(t, h.run("", "datasource", "list", "--url", server.URL).code)
	require.Equal(t, 1, asked)
}

func TestAnAdministratorEndsWhatAUserSignsInWith(t *testing.T) {
	const user, what = "0199f3a4-6b1d-7c52-9e0f-3d2a8b1c4e5f", "0199f3a4-6b1d-7c52-9e0f-3d2a8b1c4e60"
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = fmt.Fprintf(w, `{"items": [{"id": %q, "email": "ana@example.com"}], "next_cursor": ""}`, user)
			return
		}
		asked = append(asked, r.Method+" "+r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	h := home{t, cli.Settings{URL: server.URL, Token: "x"}}
	for _, args := range [][]string{
		{"user", "end-session", "ana@example.com", what}, {"user", "revoke-token", user, what}, {"session", "sign-out-everywhere"},
	} {
		got := h.run("", args...)
		require.Zero(t, got.code, got.stderr)
	}
	require.Equal(t, []string{
		"DELETE /api/access/users/" + user + "/sessions/" + what, "DELETE /api/access/users/" + user + "/tokens/" + what, "POST /api/auth/logout-everywhere",
	}, asked)
}
