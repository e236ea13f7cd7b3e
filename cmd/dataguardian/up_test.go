package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
)

// upProcess is `dataguardian up` on free ports, which is ready.
type upProcess struct {
	cmd    *exec.Cmd
	banner string
	url    string
	stderr *bytes.Buffer
}

var apiReference = regexp.MustCompile(`API reference +(http://\S+)/api/docs`)

func upArgs(data string) []string {
	return []string{"up", "--data-dir", data, "--listen", "127.0.0.1:0", "--temporal-port", "0", "--temporal-ui-port", "0"}
}

// startUp starts it and reads its banner.
func startUp(t *testing.T, data string, environment ...string) *upProcess {
	t.Helper()
	u := &upProcess{cmd: exec.Command(os.Args[0], upArgs(data)...), stderr: new(bytes.Buffer)} //nolint:gosec // this very test binary
	u.cmd.Env = append([]string{mainEnv + "=1", "PATH=" + os.Getenv("PATH")}, environment...)
	u.cmd.Stderr = u.stderr
	out, err := u.cmd.StdoutPipe()
	require.NoError(t, err)
	began := time.Now()
	require.NoError(t, u.cmd.Start())
	t.Cleanup(func() {
		if u.cmd.ProcessState == nil {
			_ = u.cmd.Process.Kill()
			_ = u.cmd.Wait()
		}
	})
	var banner strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		banner.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "Ctrl-C stops it") {
			break
		}
	}
	t.Logf("ready after %s", time.Since(began).Round(10*time.Millisecond)) // the promise is 10 s on a machine that does nothing else
	go func() { _, _ = io.Copy(io.Discard, out) }()
	u.banner = banner.String()
	found := apiReference.FindStringSubmatch(u.banner)
	require.Len(t, found, 2, "%s\n%s", u.banner, u.stderr)
	u.url = found[1]
	return u
}

// stop asks it to end, as systemd does.
func (u *upProcess) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, u.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, u.cmd.Wait(), "%s", u.stderr)
}

// processesIn are those whose working directory is dir or below it: all of a Postgres server have its data directory.
func processesIn(t *testing.T, dir string) (found []string) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && (cwd == dir || strings.HasPrefix(cwd, dir+"/")) {
			found = append(found, link)
		}
	}
	return found
}

func TestUpKeepsItsStateThroughKillAndEndsCleanly(t *testing.T) {
	data := filepath.Join(openDirectory(t), "data")
	first := startUp(t, data)
	require.Contains(t, first.banner, first.url+"/api/auth/setup", "how to create the owner")
	require.Contains(t, first.banner, "Temporal UI")
	api := client.New(first.url)
	_, err := api.Setup(t.Context(), "owner@example.com", "Owner", "correct-horse-battery")
	require.NoError(t, err)
	require.NotEmpty(t, processesIn(t, data))
	require.NoError(t, first.cmd.Process.Kill())
	_ = first.cmd.Wait()

	second := startUp(t, data)
	require.NotContains(t, second.banner, "Create the owner")
	_, err = client.New(second.url).Login(t.Context(), "owner@example.com", "correct-horse-battery")
	require.NoError(t, err, "the owner is gone")
	t.Run("a second one on the same directory is refused", func(t *testing.T) {
		refused := run(t, nil, upArgs(data)...)
		require.Equal(t, exitFailed, refused.code)
		require.Contains(t, refused.stderr, data)
	})
	second.stop(t)
	require.Empty(t, processesIn(t, data), "processes are left")

	t.Run("without its master key it is refused", func(t *testing.T) {
		key := filepath.Join(data, "master.key")
		require.NoError(t, os.Remove(key))
		refused := run(t, nil, upArgs(data)...)
		require.Equal(t, exitFailed, refused.code)
		require.Contains(t, refused.stderr, "master key")
		require.Contains(t, refused.stderr, key)
		require.NoFileExists(t, key, "a new key would hide that the secrets can not be read")
		require.Empty(t, processesIn(t, data))
	})
}

func TestUpWithADatabaseOfItsUsersStartsNoPostgres(t *testing.T) {
	dir := openDirectory(t)
	server, err := postgres.Start(t.Context(), postgres.Options{DataDir: filepath.Join(dir, "theirs"), NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	data := filepath.Join(dir, "data")
	up := startUp(t, data, "DATABASE_URL="+server.URL())
	require.NoDirExists(t, filepath.Join(data, "postgres"))
	require.Empty(t, processesIn(t, filepath.Join(data, "postgres")))
	needed, err := client.New(up.url).SetupNeeded(t.Context())
	require.NoError(t, err)
	require.True(t, needed)
	up.stop(t)
}
