package postgres_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
)

// The name of the environment variable that turns this test binary into a parent that starts a
// server and waits to be killed.
const parentVariable = "DATAGUARDIAN_TEST_POSTGRES_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentVariable); dir != "" {
		runParent(dir)
	}
	os.Exit(m.Run())
}

func runParent(dir string) {
	s, err := postgres.Start(context.Background(), postgres.Options{DataDir: dir, NoSync: true})
	if err != nil {
		_, _ = os.Stdout.WriteString("error " + err.Error() + "\n")
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString(pidText(s) + "\n")
	select {}
}

func TestAKilledParentLeavesADirectoryThatStartsAgain(t *testing.T) {
	dir := dataDir(t)
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"="+dir)
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	orphanPID, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err, line)
	require.NoError(t, parent.Process.Signal(syscall.SIGKILL))
	_ = parent.Wait()

	s := start(t, postgres.Options{DataDir: dir})
	require.NotEqual(t, orphanPID, s.PID())
	require.Equal(t, "1", query(t, s.URL(), "SELECT '1'"))
	_, err = os.Readlink(fmt.Sprintf("/proc/%d/cwd", orphanPID))
	require.Error(t, err, "the left-behind server is gone")
}

func pidText(s *postgres.Server) string { return strconv.Itoa(s.PID()) }
