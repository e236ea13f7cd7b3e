package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/demo/dbcompare"
	"github.com/dataguardian/dataguardian/internal/recovery"
	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
)

// mainEnv makes the test binary the program itself, so that commands run as processes of their own.
const mainEnv = "DG_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// outcome is how a process ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// run runs the program with an environment in which no platform is known.
func run(t *testing.T, environment []string, args ...string) outcome {
	t.Helper()
	return runWith(t, nil, environment, args...)
}

// runWith is run with something on standard input.
func runWith(t *testing.T, input io.Reader, environment []string, args ...string) outcome {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...) //nolint:gosec // this very test binary
	cmd.Env = append([]string{mainEnv + "=1", "PATH=" + os.Getenv("PATH")}, environment...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin = input
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// lost is what is left of a platform whose data directory was deleted: the storage location and the
// recovery kit. server holds a copy of the backed up database, only to compare with.
type lost struct {
	backups, kit string
	server       *postgres.Server
	execution    string
}

// openDirectory is a directory for a private Postgres, which runs as another user when the tests run as
// root, so every parent is open.
func openDirectory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dataguardian-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // see above
	return dir
}

// losePlatform runs the demo, prints the recovery kit, and deletes everything but the backups.
func losePlatform(t *testing.T) lost {
	t.Helper()
	dir := openDirectory(t)
	data := filepath.Join(dir, "data")
	demo := run(t, nil, "demo", "--exit", "--size-mb", "2", "--data-dir", data, "--listen", "127.0.0.1:0", "--temporal-port", "0", "--temporal-ui-port", "0")
	require.Zero(t, demo.code, demo.stderr)
	printed := run(t, nil, "recovery-kit", "--data-dir", data)
	require.Zero(t, printed.code, printed.stderr)
	l := lost{backups: data + "-backups", kit: filepath.Join(dir, "kit.txt")}
	require.Contains(t, demo.stdout, "dataguardian recovery-kit --data-dir "+data)
	require.Contains(t, demo.stdout, "dataguardian recover dump latest --storage local:"+l.backups)
	require.NoError(t, os.WriteFile(l.kit, []byte(printed.stdout), 0o600))
	// The tests' own copy of the source, to compare with.
	require.NoError(t, os.Rename(filepath.Join(data, "postgres"), filepath.Join(dir, "postgres")))
	require.NoError(t, os.RemoveAll(data))
	var err error
	l.server, err = postgres.Start(t.Context(), postgres.Options{DataDir: filepath.Join(dir, "postgres"), NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.server.Stop(context.Background()) })
	return l
}

// recover runs a subcommand on the storage location.
func (l lost) recover(t *testing.T, args ...string) outcome {
	t.Helper()
	return run(t, []string{"PGPASSWORD=" + l.server.Password()}, append([]string{"recover", args[0], "--storage", "local:" + l.backups}, args[1:]...)...)
}

func (l lost) withKit(t *testing.T, args ...string) outcome {
	t.Helper()
	return l.recover(t, append(args, "--identity", l.kit)...)
}

// target is the URL of a database without its password.
func (l lost) target(t *testing.T, database string) string {
	t.Helper()
	address, err := url.Parse(l.server.DatabaseURL(database))
	require.NoError(t, err)
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", address.User.Username(), address.Host, database)
}

func (l lost) connect(t *testing.T, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), l.server.DatabaseURL(database))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

const demoDatabase = "dataguardian_demo"

func TestTheDemosBackupIsRestoredAfterThePlatformIsDeleted(t *testing.T) {
	l := losePlatform(t)
	t.Run("list needs no identity", func(t *testing.T) {
		listed := l.recover(t, "list", "-o", "json")
		require.Zero(t, listed.code, listed.stderr)
		var entries []recovery.Entry
		require.NoError(t, json.Unmarshal([]byte(listed.stdout), &entries))
		require.Len(t, entries, 1)
		require.Empty(t, entries[0].Problem)
		require.Len(t, entries[0].Recipients, 1)
		l.execution = entries[0].ExecutionID
		require.Contains(t, l.withKit(t, "list").stdout, l.execution)
	})
	t.Run("verify reads everything back", func(t *testing.T) {
		verified := l.withKit(t, "verify", "--full")
		require.Zero(t, verified.code, verified.stderr)
		require.Contains(t, verified.stdout, "good "+l.execution)
		require.Contains(t, verified.stderr, "tables")
	})
	t.Run("restore into a fresh database", func(t *testing.T) {
		restored := l.withKit(t, "restore", "latest", "--to", l.target(t, "recovered"))
		require.Zero(t, restored.code, restored.stderr)
		compared, err := dbcompare.Compare(t.Context(), l.connect(t, demoDatabase), l.connect(t, "recovered"))
		require.NoError(t, err)
		require.True(t, compared.Equal(), compared.Differences())
		refused := l.withKit(t, "restore", l.execution, "--to", l.target(t, "recovered"))
		require.Equal(t, exitFailed, refused.code)
		require.Contains(t, refused.stderr, "--drop-existing")
	})
	t.Run("dump to standard output and to a file", func(t *testing.T) { l.testDump(t) })
	t.Run("a folder gets the plain files", func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "plain")
		restored := l.withKit(t, "restore", "latest", "--to", "dir:"+folder)
		require.Zero(t, restored.code, restored.stderr)
		files, err := os.ReadDir(folder)
		require.NoError(t, err)
		require.NotEmpty(t, files)
	})
	t.Run("from servers", func(t *testing.T) { l.testRemotes(t) })
	t.Run("what is refused", func(t *testing.T) { l.testRefusals(t) })
	t.Run("damage", func(t *testing.T) { l.testDamage(t) })
}

func (l lost) testDump(t *testing.T) {
	dump := l.withKit(t, "dump", "latest")
	require.Zero(t, dump.code, dump.stderr)
	require.True(t, strings.HasPrefix(dump.stdout, "PGDMP"), "pg_restore reads it")
	file := filepath.Join(t.TempDir(), "demo.dump")
	require.Zero(t, l.withKit(t, "dump", l.execution[len(l.execution)-8:], "-o", file).code)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, dump.stdout == string(content))
	require.NoError(t, os.WriteFile(file, []byte("keep"), 0o600))
	refused := l.withKit(t, "dump", "latest", "-o", file)
	require.Equal(t, exitFailed, refused.code)
	require.Contains(t, refused.stderr, "--force")
	content, err = os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "keep", string(content))
	require.Zero(t, l.withKit(t, "dump", "latest", "-o", file, "--force").code)
}

func (l lost) testRefusals(t *testing.T) {
	stranger := filepath.Join(t.TempDir(), "stranger.txt")
	require.NoError(t, os.WriteFile(stranger, []byte("AGE-SECRET-KEY-16S3RY4JDC35FUEDS3FF36T3A0XUNXAD7JDHMEXQGLXLLZ0JD9K8QUNU2ED\n"), 0o600))
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"the wrong identity", []string{"dump", "latest", "--identity", stranger}, exitFailed, "none of the identities"},
		{"no identity", []string{"restore", "latest", "--to", l.target(t, "nobody")}, exitFailed, "no identity was given"},
		{"full verification without an identity", []string{"verify", "--full"}, exitFailed, "not good"},
		{"an unknown backup", []string{"verify", "00000000"}, exitFailed, "no backup"},
		{"an unknown datasource", []string{"dump", "latest", "--datasource", "nothing"}, exitFailed, "nothing"},
		{"a password in the target", []string{"restore", "latest", "--to", "postgres://u:p4ssw0rd@127.0.0.1/x"}, exitUsage, "PGPASSWORD"},
		{"no target", []string{"restore", "latest"}, exitUsage, "--to"},
		{"an unknown flag", []string{"list", "--nothing"}, exitUsage, "unknown flag"},
		{"two backups", []string{"dump", "a", "b"}, exitUsage, "give one backup"},
		{"two locations", []string{"list", "--storage-config", "x"}, exitUsage, "one of them"},
		{"a missing identity file", []string{"list", "--identity", "/nothing/here"}, exitFailed, "/nothing/here"},
	} {
		got := l.recover(t, c.args...)
		require.Equal(t, c.code, got.code, "%s: %s", c.name, got.stderr)
		require.Contains(t, got.stderr, c.says, c.name)
		require.NotContains(t, got.stderr, "p4ssw0rd", c.name)
		require.Empty(t, got.stdout, c.name)
	}
	gone := run(t, nil, "recover", "list", "--storage", "local:"+l.backups+"-unmounted")
	require.Equal(t, exitFailed, gone.code)
	require.Contains(t, gone.stderr, "Mount the disk")
	require.NoDirExists(t, l.backups+"-unmounted")
}

// testDamage comes last: it changes a chunk.
func (l lost) testDamage(t *testing.T) {
	admin := l.connect(t, "postgres")
	_, err := admin.Exec(t.Context(), "create database precious")
	require.NoError(t, err)
	_, err = l.connect(t, "precious").Exec(t.Context(), "create table keep (n int); insert into keep values (42)")
	require.NoError(t, err)
	chunks, err := filepath.Glob(filepath.Join(l.backups, "*", "chunks", "*", "*", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, chunks)
	content, err := os.ReadFile(chunks[0])
	require.NoError(t, err)
	content[len(content)/2] ^= 1
	require.NoError(t, os.WriteFile(chunks[0], content, 0o600))

	for _, args := range [][]string{
		{"verify", "--full"}, {"verify", "latest", "--full"}, {"dump", "latest"},
		{"restore", "latest", "--to", l.target(t, "precious"), "--drop-existing"},
	} {
		got := l.withKit(t, args...)
		require.Equal(t, exitDamage, got.code, "%v: %s", args, got.stderr)
		require.Contains(t, got.stderr, filepath.Base(chunks[0]), "%v", args)
	}
	var kept int
	require.NoError(t, l.connect(t, "precious").QueryRow(t.Context(), "select n from keep").Scan(&kept))
	require.Equal(t, 42, kept)
	var left int
	require.NoError(t, admin.QueryRow(t.Context(), "select count(*) from pg_database where datname like '%\\_dg\\_%' or datname like '%\\_old\\_%'").Scan(&left))
	require.Zero(t, left, "databases of a restore are left behind")
	require.Zero(t, l.recover(t, "list").code)
	require.Contains(t, l.recover(t, "list", "--datasource", "nothing").stdout, `no backup of a datasource "nothing"`)
}
