package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
)

func shell(text string) Command {
	return Command{Path: "/bin/sh", Args: []string{"-c", text}, Env: []string{"PATH=" + os.Getenv("PATH")}, Paced: true}
}

// stateOf is the letter of /proc/<pid>/stat, "" for a process that is gone.
func stateOf(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if fields := statFields(stat); err == nil && len(fields) > 0 {
		return string(fields[0])
	}
	return ""
}

func TestThePaceTellsWaitingFromWorking(t *testing.T) {
	begin := func(text string) (*Process, *pace) {
		p, err := Start(t.Context(), shell(text))
		require.NoError(t, err)
		pace := newPace(p)
		require.NotNil(t, pace)
		t.Cleanup(pace.close)
		return p, pace
	}
	sleeper, waiting := begin("exec sleep 600")
	require.Eventually(t, waiting.waits, time.Minute, time.Millisecond)
	for range 5 {
		waiting.hold()
		require.NotEqual(t, "T", stateOf(sleeper.PID()), "it is left stopped")
	}
	busy, working := begin("echo $$ >&2; while :; do :; done")
	require.Eventually(t, func() bool { return stateOf(busy.PID()) == "R" }, time.Minute, time.Millisecond)
	for range 100 {
		require.False(t, working.waits())
	}
	working.hold()
	require.Equal(t, "R", stateOf(busy.PID()))

	ended, gone := begin("exit 0")
	require.NoError(t, ended.Wait())
	require.False(t, gone.waits())
	gone.hold()
}

func TestAPacedToolIsStoppedForMomentsAndLosesNothing(t *testing.T) {
	stopped := errors.New("seen stopped")
	// It writes until it is seen stopped, a little at a time, as one that waits for its server.
	_, err := Pull(t.Context(), shell("echo $$; while :; do echo line; sleep 0.001; done"), func(ctx context.Context, r io.Reader) error {
		first := make([]byte, 64)
		n, err := r.Read(first)
		require.NoError(t, err)
		line, _, _ := strings.Cut(string(first[:n]), "\n")
		pid, err := strconv.Atoi(line)
		require.NoError(t, err)
		seen := make(chan struct{})
		go func() {
			defer close(seen)
			for ctx.Err() == nil && stateOf(pid) != "T" { //nolint:revive // it is looked at all the time
			}
		}()
		for buffer := make([]byte, 1<<20); ; {
			select {
			case <-seen:
				return stopped
			default:
				if _, err := r.Read(buffer); err != nil {
					return err
				}
			}
		}
	})
	require.ErrorIs(t, err, stopped)

	var out, want bytes.Buffer
	_, err = Pull(t.Context(), shell("i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo line $i; sleep 0.001; done"), func(_ context.Context, r io.Reader) error {
		_, err := io.Copy(&out, r)
		return err
	})
	require.NoError(t, err)
	for i := range 200 {
		fmt.Fprintf(&want, "line %d\n", i+1)
	}
	require.Equal(t, want.String(), out.String())
}

func TestAPacedToolWritesMoreAtATime(t *testing.T) {
	if _, err := exec.LookPath("stdbuf"); err != nil {
		t.Skip("needs stdbuf of coreutils")
	}
	c := Command{Path: "/usr/bin/env", Env: []string{"A=1"}, Paced: true}
	var out bytes.Buffer
	_, err := Pull(t.Context(), c, func(_ context.Context, r io.Reader) error {
		_, err := io.Copy(&out, r)
		return err
	})
	require.NoError(t, err)
	require.Contains(t, out.String(), "_STDBUF_O=16384\n")
	require.Contains(t, out.String(), "A=1\n")
}

func TestErrorsOfAPacedToolNameTheTool(t *testing.T) {
	all := func(_ context.Context, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	}
	missing := Command{Path: "/nowhere/pg_dump", Paced: true}
	_, err := Pull(t.Context(), missing, all)
	require.Equal(t, failure.ToolMissing, failure.ClassOf(err))
	require.ErrorContains(t, err, "start pg_dump")

	_, err = Pull(t.Context(), shell("echo no >&2; exit 3"), all)
	var exit *ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, "sh", exit.Program)
	require.Equal(t, 3, exit.Code)
	require.Equal(t, "no\n", exit.Stderr)
}
