package process_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// parentEnv makes the test binary a process that starts a child, tells its id, and waits to be killed.
const parentEnv = "DG_TEST_PROCESS_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentEnv) != "" {
		p, err := process.Start(context.Background(), script("exec sleep 600"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(p.PID())
		_ = p.Wait()
	}
	os.Exit(m.Run())
}

// A child that neither reads nor writes would not notice.
func TestAChildEndsWithAParentThatIsKilled(t *testing.T) {
	parent := exec.Command(os.Args[0]) //nolint:gosec // this very test binary
	parent.Env = append(os.Environ(), parentEnv+"=1")
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	t.Cleanup(func() { _ = parent.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	child, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Kill(child, unix.SIGKILL) })
	require.True(t, running(child))
	require.NoError(t, parent.Process.Kill())
	require.ErrorContains(t, parent.Wait(), "killed")
	require.Eventually(t, func() bool { return !running(child) }, 10*time.Second, time.Millisecond, "the child outlives its parent")
}

// running reports whether a process exists and is not a zombie, which whoever inherits it may leave.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}

// script is a shell script as a child. The shell is the program under test here, never the way to
// run one.
func script(text string) process.Command {
	return process.Command{Path: "/bin/sh", Args: []string{"-c", text}, Env: []string{"PATH=/usr/bin:/bin"}}
}

func readAll(into *bytes.Buffer) func(context.Context, io.Reader) error {
	return func(_ context.Context, r io.Reader) error {
		_, err := io.Copy(into, r)
		return err
	}
}

func TestOutputAndStandardErrorAreHandedOver(t *testing.T) {
	var out bytes.Buffer
	stderr, err := process.Pull(t.Context(), script("echo out; echo err >&2"), readAll(&out))
	require.NoError(t, err)
	require.Equal(t, "out\n", out.String())
	require.Equal(t, "err\n", stderr)
}

func TestTheEnvironmentIsOnlyWhatWasGiven(t *testing.T) {
	t.Setenv("PGPASSWORD", "leaked")
	var out bytes.Buffer
	_, err := process.Pull(t.Context(), process.Command{Path: "/usr/bin/env", Env: []string{"A=1"}}, readAll(&out))
	require.NoError(t, err)
	require.Equal(t, "A=1\n", out.String())
	out.Reset()
	_, err = process.Pull(t.Context(), process.Command{Path: "/usr/bin/env"}, readAll(&out))
	require.NoError(t, err)
	require.Empty(t, out.String())
}

func TestAFailureNeverLooksLikeTheEndOfTheOutput(t *testing.T) {
	for name, test := range map[string]struct {
		text   string
		code   int
		signal string
	}{
		"a status other than 0": {"echo some; exit 7", 7, ""},
		"a signal":              {"echo some; kill -9 $$", -1, "SIGKILL"},
	} {
		t.Run(name, func(t *testing.T) {
			var seen error
			_, err := process.Pull(t.Context(), script(test.text), func(_ context.Context, r io.Reader) error {
				_, seen = io.ReadAll(r)
				return nil // even a consumer that does not care
			})
			var exit *process.ExitError
			require.ErrorAs(t, err, &exit)
			require.ErrorAs(t, seen, &exit)
			require.Equal(t, test.code, exit.Code)
			require.Equal(t, test.signal, exit.Signal)
		})
	}
}

func TestStandardErrorIsBoundedAndRedacted(t *testing.T) {
	c := script(`i=0; while [ $i -lt 3000 ]; do echo "line $i of many"; i=$((i+1)); done >&2; echo "the word is s3cret! password=other" >&2; exit 1`)
	c.Secrets = []string{"s3cret!"}
	stderr, err := process.Pull(t.Context(), c, readAll(&bytes.Buffer{}))
	var exit *process.ExitError
	require.ErrorAs(t, err, &exit)
	require.LessOrEqual(t, len(stderr), 16<<10+100)
	require.Contains(t, stderr, "line 2999")
	require.NotContains(t, stderr, "line 0 ")
	require.NotContains(t, err.Error()+stderr, "s3cret!")
	require.NotContains(t, err.Error()+stderr, "other")
}

// What is kept begins somewhere: of a secret that lies there nobody would know the end.
func TestStandardErrorDoesNotBeginWithinASecret(t *testing.T) {
	for _, left := range []int{1, 6, 10} {
		for _, end := range []string{`\n`, ` `} {
			c := script(fmt.Sprintf(`printf 'the word is s3cret-word!%s' >&2; head -c %d /dev/zero | tr '\0' x >&2; exit 1`, end, 16<<10-1-left))
			c.Secrets = []string{"s3cret-word!"}
			stderr, err := process.Pull(t.Context(), c, readAll(&bytes.Buffer{}))
			require.Error(t, err)
			require.Equal(t, strings.Repeat("x", 16<<10-1-left), stderr)
		}
	}
}

func TestAMissingProgramIsToolMissing(t *testing.T) {
	_, err := process.Pull(t.Context(), process.Command{Path: "/nonexistent/pg_dump"}, readAll(&bytes.Buffer{}))
	require.Equal(t, failure.ToolMissing, failure.ClassOf(err))
}

// stubborn starts grandchildren that ignore SIGTERM, writes their ids to a file and tells that it
// is ready.
func stubborn(file string) string {
	return fmt.Sprintf(`trap '' TERM
		for i in 1 2 3; do sh -c "trap '' TERM; while :; do sleep 1; done" & echo $! >>%[1]s; done
		echo $$ >>%[1]s; echo ready; while :; do sleep 1; done`, file)
}

func TestCancelEndsGrandchildrenThatIgnoreSIGTERM(t *testing.T) {
	for _, paced := range []bool{false, true} {
		t.Run(fmt.Sprintf("paced %t", paced), func(t *testing.T) { cancelStubborn(t, paced) })
	}
}

func cancelStubborn(t *testing.T, paced bool) {
	pids := filepath.Join(t.TempDir(), "pids")
	ctx, cancel := context.WithCancel(t.Context())
	c := script(stubborn(pids))
	c.Grace = 200 * time.Millisecond
	if paced {
		c.Pause = time.Millisecond
	}
	_, err := process.Pull(ctx, c, func(_ context.Context, r io.Reader) error {
		_, err := io.ReadFull(r, make([]byte, len("ready\n")))
		require.NoError(t, err)
		cancel()
		_, err = io.ReadAll(r)
		return err
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, failure.Cancelled, failure.ClassOf(err))
	requireGone(t, pids, 4)
}

func TestGrandchildrenDoNotOutliveTheirParent(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	c := script(fmt.Sprintf("sleep 600 >/dev/null 2>&1 & echo $! >%s; echo done", pids))
	var out bytes.Buffer
	_, err := process.Pull(t.Context(), c, readAll(&out))
	require.NoError(t, err)
	require.Equal(t, "done\n", out.String())
	requireGone(t, pids, 1)
}

func TestAGrandchildThatHoldsTheOutputIsEndedWithItsParent(t *testing.T) {
	_, err := process.Pull(t.Context(), script("sleep 600 & echo done"), readAll(&bytes.Buffer{}))
	require.NoError(t, err)
}

func requireGone(t *testing.T, file string, count int) {
	t.Helper()
	text, err := os.ReadFile(file) //nolint:gosec // the test's own file
	require.NoError(t, err)
	pids := strings.Fields(string(text))
	require.Len(t, pids, count)
	for _, field := range pids {
		pid, err := strconv.Atoi(field)
		require.NoError(t, err)
		if unix.Kill(pid, 0) == nil { // only a zombie that nobody reaps may be there
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			require.True(t, err != nil || strings.Contains(string(stat), ") Z "), "process %d is alive", pid)
		}
	}
}

func TestTheIdleWatchdogEndsASilentChild(t *testing.T) {
	c := script("echo one; sleep 600")
	c.IdleTimeout = 150 * time.Millisecond
	_, err := process.Pull(t.Context(), c, readAll(&bytes.Buffer{}))
	require.Equal(t, failure.Timeout, failure.ClassOf(err))
	require.ErrorContains(t, err, "no byte moved")
}

func TestTheIdleWatchdogLeavesAWorkingChildAlone(t *testing.T) {
	c := script("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.1; done")
	c.IdleTimeout = 600 * time.Millisecond
	c.Meter = &process.Meter{}
	_, err := process.Pull(t.Context(), c, readAll(&bytes.Buffer{}))
	require.NoError(t, err)
	require.EqualValues(t, 16, c.Meter.Bytes())
}

func TestAConsumerThatFailsEndsTheChild(t *testing.T) {
	broken := errors.New("the disk is gone")
	_, err := process.Pull(t.Context(), script("while :; do echo line; done"), func(_ context.Context, r io.Reader) error {
		_, err := io.ReadFull(r, make([]byte, 1000))
		require.NoError(t, err)
		return broken
	})
	require.ErrorIs(t, err, broken)
}

func TestOutputThatIsNotReadToTheEndIsAnError(t *testing.T) {
	_, err := process.Pull(t.Context(), script("echo something"), func(context.Context, io.Reader) error { return nil })
	require.Error(t, err)
}

func TestPushFeedsStandardInput(t *testing.T) {
	dir := t.TempDir()
	payload := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	_, err := process.Push(t.Context(), script("cat >"+dir+"/copy"), bytes.NewReader(payload))
	require.NoError(t, err)
	written, err := os.ReadFile(filepath.Join(dir, "copy"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(payload, written))
}

func TestPushReadsItsSourceToTheEndWhateverTheChildTakes(t *testing.T) {
	damaged := errors.New("the last chunk is damaged")
	source := func(last error) io.Reader {
		return io.MultiReader(bytes.NewReader(make([]byte, 4<<20)), endsWith{last})
	}
	_, err := process.Push(t.Context(), script("head -c 10 >/dev/null"), source(io.EOF))
	require.NoError(t, err)
	_, err = process.Push(t.Context(), script("head -c 10 >/dev/null"), source(damaged))
	require.ErrorIs(t, err, damaged)
	_, err = process.Push(t.Context(), script("cat >/dev/null"), source(damaged))
	require.ErrorIs(t, err, damaged)
	_, err = process.Push(t.Context(), script("head -c 10 >/dev/null; exit 4"), source(damaged))
	require.Error(t, err)
}

type endsWith struct{ err error }

func (e endsWith) Read([]byte) (int, error) { return 0, e.err }

func TestAContextThatEndedStartsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := process.Start(ctx, script("exit 0"))
	require.ErrorIs(t, err, context.Canceled)
}
