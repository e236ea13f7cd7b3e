package mysql_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

const oddPassword = "ünï 'quoted\" \\ # password"

// oddUser may do everything and has a password that is hard to write down.
func oddUser(t *testing.T, src engine.Source) engine.Source {
	t.Helper()
	execute(t, "", `CREATE USER watched@'%' IDENTIFIED BY 'ünï \'quoted" \\ # password'`, "GRANT ALL ON *.* TO watched@'%'")
	t.Cleanup(func() { execute(t, "", "DROP USER watched@'%'") })
	src.Config.Username, src.Config.Password = "watched", oddPassword
	return src
}

// requireHidden looks at every process of the machine while a tool runs, and returns the tool's option file and its command line.
func requireHidden(t *testing.T, program string) (file, command string) {
	t.Helper()
	var match []string
	require.Eventually(t, func() bool { // first it is asked for its version
		text, err := os.ReadFile(filepath.Join(enginetest.AwaitChild(t, program), "cmdline")) //nolint:gosec // a path under /proc
		command = strings.ReplaceAll(string(text), "\x00", " ")
		match = regexp.MustCompile(`--defaults-file=(\S+)`).FindStringSubmatch(command)
		return err == nil && match != nil
	}, enginetest.Timeout, time.Millisecond)
	seen := 0
	for _, kind := range []string{"cmdline", "environ"} {
		files, err := filepath.Glob("/proc/[0-9]*/" + kind)
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file) //nolint:gosec // a path under /proc
			if err == nil {                // the others ended, or are not ours
				seen++
				require.NotContains(t, string(text), "quoted\" \\ # password", file)
			}
		}
	}
	require.Greater(t, seen, 2)
	info, err := os.Stat(match[1])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	above, err := os.Stat(filepath.Dir(match[1]))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), above.Mode().Perm())
	inside, err := os.ReadFile(match[1])
	require.NoError(t, err)
	require.Contains(t, string(inside), "# password", "it is where the password is")
	return match[1], command
}

func TestAPasswordIsInNoCommandLineAndNoEnvironmentAndItsFileGoesAway(t *testing.T) {
	src := oddUser(t, create(t, "watched", "", "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (42)"))
	release := hold("kept")(t, src)
	var file, command string
	var archive enginetest.Archive
	_, err := newEngine().Dump(enginetest.Context(t), src, engine.DumpOptions{}, func(_ context.Context, s engine.Stream, r io.Reader) (err error) {
		file, command = requireHidden(t, "/usr/bin/mariadb-dump")
		release()
		archive.Stream = s
		archive.Bytes, err = io.ReadAll(r)
		return err
	})
	require.NoError(t, err)
	require.NoDirExists(t, filepath.Dir(file))
	for _, option := range []string{
		"--single-transaction", "--routines", "--triggers", "--events", "--hex-blob", "--default-character-set=utf8mb4", "--skip-lock-tables", "--quick",
	} {
		require.Contains(t, command, option)
	}

	ctx, cancel := context.WithCancel(enginetest.Context(t))
	ended := make(chan error, 1)
	go func() {
		_, err := newEngine().Stage(ctx, src, archive.Request("ffff0001", fresh(t)), archive.StuckAt(len(archive.Bytes)/2))
		ended <- err
	}()
	file, _ = requireHidden(t, "/usr/bin/mariadb")
	cancel()
	require.Error(t, <-ended)
	require.NoDirExists(t, filepath.Dir(file), "also after it was cancelled")
}
