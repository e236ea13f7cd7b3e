package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/failure"
)

func shell(text string) Command {
	return Command{Path: "/bin/sh", Args: []string{"-c", text}, Env: []string{"PATH=" + os.Getenv("PATH")}, Pause: time.Millisecond}
}

func copyTo(w io.Writer) func(context.Context, io.Reader) error {
	return func(_ context.Context, r io.Reader) error {
		_, err := io.Copy(w, r)
		return err
	}
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
		ctx, stop := context.WithCancel(t.Context())
		p, err := Start(ctx, shell(text))
		require.NoError(t, err)
		pace := newPace(p, time.Millisecond)
		t.Cleanup(func() {
			stop()
			_ = p.Wait()
			pace.close()
		})
		return p, pace
	}
	much := func(int) bool { return true }
	sleeper, waiting := begin("exec sleep 600")
	require.Eventually(t, waiting.waits, time.Minute, time.Millisecond)
	for range 5 {
		waiting.hold(little)
		require.NotEqual(t, "T", stateOf(sleeper.PID()), "it is left stopped")
	}
	busy, working := begin("while :; do :; done")
	require.Eventually(t, func() bool { return stateOf(busy.PID()) == "R" }, time.Minute, time.Millisecond)
	for range 100 {
		require.False(t, working.waits())
	}
	working.hold(little)
	working.hold(much)
	require.Equal(t, "R", stateOf(busy.PID()))

	sleeper.signal(unix.SIGKILL)
	require.Error(t, sleeper.Wait())
	require.False(t, waiting.waits(), "it has ended")
	waiting.hold(little)
}

func TestAPacedToolIsStoppedForMoments(t *testing.T) {
	stopped := errors.New("seen stopped")
	// It writes until it is seen stopped, a little at a time, as one that waits for its server.
	_, err := Pull(t.Context(), shell("echo $$; while :; do echo line; sleep 0.001; done"), func(ctx context.Context, r io.Reader) error {
		first := make([]byte, 64)
		n, err := r.Read(first)
		require.NoError(t, err)
		line, _, _ := strings.Cut(string(first[:n]), "\n")
		pid, err := strconv.Atoi(line)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		seen := make(chan struct{})
		go func() {
			defer close(seen)
			for ctx.Err() == nil && stateOf(pid) != "T" {
				runtime.Gosched() // a stop is short: it is looked for all the time
			}
		}()
		for buffer := make([]byte, 1<<20); ; {
			select {
			case <-seen:
				require.NoError(t, ctx.Err(), "it was not seen stopped")
				return stopped
			default:
				if _, err := r.Read(buffer); err != nil {
					return err
				}
			}
		}
	})
	require.ErrorIs(t, err, stopped)
}

func TestNothingOfAPacedToolIsLost(t *testing.T) {
	var out, want bytes.Buffer
	_, err := Pull(t.Context(), shell("i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo line $i; sleep 0.001; done"), copyTo(&out))
	require.NoError(t, err)
	for i := range 200 {
		fmt.Fprintf(&want, "line %d\n", i+1)
	}
	require.Equal(t, want.String(), out.String())
}

func TestAToolIsGivenTheBufferThatIsAskedFor(t *testing.T) {
	if stdbuf() == "" {
		t.Skip("needs stdbuf of GNU coreutils")
	}
	const pipe = 64 << 10 // bytes that the kernel gives a pipe
	for buffer, want := range map[int]int{0: 4 << 10, 16 << 10: 16 << 10} {
		read, write, err := os.Pipe()
		require.NoError(t, err)
		// seq writes by its C library's streams, until the pipe is full.
		p, err := Start(t.Context(), Command{Path: "/usr/bin/seq", Args: []string{"-f", "%.0f", "1000000"}, OutputBuffer: buffer, Stdout: write})
		require.NoError(t, err)
		require.NoError(t, write.Close())
		require.Eventually(t, func() bool {
			bytes, writes := written(t, p.PID())
			return bytes >= pipe && bytes == want*writes
		}, time.Minute, time.Millisecond, "writes of %d bytes", want)
		require.NoError(t, read.Close())
		require.Error(t, p.Wait(), "nobody reads it any more")
	}
}

// written is what a process has written so far, by the kernel's count.
func written(t *testing.T, pid int) (bytes, writes int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		_, _ = fmt.Sscanf(line, "wchar: %d", &bytes)
		_, _ = fmt.Sscanf(line, "syscw: %d", &writes)
	}
	return bytes, writes
}

func TestAStdbufThatStaysTheParentIsNotUsed(t *testing.T) {
	forks := filepath.Join(t.TempDir(), "stdbuf")
	require.NoError(t, os.WriteFile(forks, []byte("#!/bin/sh\nshift\n\"$@\"\nexit $?\n"), 0o700))
	require.False(t, becomesTool(forks))
	fails := filepath.Join(t.TempDir(), "stdbuf")
	require.NoError(t, os.WriteFile(fails, []byte("#!/bin/sh\nexit 125\n"), 0o700))
	require.False(t, becomesTool(fails))
	becomes := filepath.Join(t.TempDir(), "stdbuf")
	require.NoError(t, os.WriteFile(becomes, []byte("#!/bin/sh\nshift\nexec \"$@\"\n"), 0o700))
	require.True(t, becomesTool(becomes))
}

func TestErrorsOfAToolWithABufferNameTheTool(t *testing.T) {
	forbidden := filepath.Join(t.TempDir(), "pg_dump")
	require.NoError(t, os.WriteFile(forbidden, nil, 0o600))
	for _, path := range []string{"/nowhere/pg_dump", forbidden} {
		_, err := Pull(t.Context(), Command{Path: path, OutputBuffer: 16 << 10}, copyTo(io.Discard))
		require.Equal(t, failure.ToolMissing, failure.ClassOf(err))
		require.ErrorContains(t, err, "start pg_dump")
	}
	failing := shell("echo no >&2; exit 3")
	failing.OutputBuffer = 16 << 10
	_, err := Pull(t.Context(), failing, copyTo(io.Discard))
	var exit *ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, "sh", exit.Program)
	require.Equal(t, 3, exit.Code)
	require.Equal(t, "no\n", exit.Stderr)
}

// beginPaced is a tool that waits for its server, and its pace.
func beginPaced(t *testing.T, longest time.Duration) *pace {
	sleeper, err := Start(t.Context(), Command{Path: "/bin/sleep", Args: []string{"600"}})
	require.NoError(t, err)
	paced := newPace(sleeper, longest)
	t.Cleanup(func() {
		sleeper.signal(unix.SIGKILL)
		_ = sleeper.Wait()
		paced.close()
	})
	require.Eventually(t, paced.waits, time.Minute, time.Millisecond)
	return paced
}

func little(int) bool { return false }

func TestPausesGrowAsLongAsTheyGain(t *testing.T) {
	paced := beginPaced(t, 3*time.Millisecond)
	// hold is one before which so many bytes had come in a second.
	hold := func(bytes float64) {
		paced.begun, paced.taken = time.Now().Add(-time.Second), int64(bytes)
		paced.restUntil = time.Time{}
		paced.hold(little)
	}
	const fast, slow = 1.1 * gainRate, 0.9 * gainRate
	grow := func() {
		for _, want := range []time.Duration{firstPause, 2 * firstPause, 4 * firstPause, 3 * time.Millisecond, 3 * time.Millisecond} {
			hold(fast)
			require.Equal(t, want, paced.pause)
			require.Zero(t, paced.taken, "there was a pause")
		}
	}
	grow()
	// A tool with many small tables is not to wait for each of them.
	hold(slow)
	require.Equal(t, 750*time.Microsecond, paced.pause)
	for _, rest := range []time.Duration{50, 100, 200, 400, 800, 1000, 1000} {
		rest *= time.Millisecond
		begin := time.Now()
		hold(slow)
		require.Zero(t, paced.pause)
		require.WithinRange(t, paced.restUntil, begin.Add(rest), time.Now().Add(rest))
		paced.hold(little)
		require.Zero(t, paced.pause, "it is left alone")
		hold(slow)
		require.Equal(t, firstPause, paced.pause, "it is tried again")
	}
	paced.pause = 0
	grow()
	hold(slow)
	hold(slow)
	require.Equal(t, shortestRest, paced.rest, "it was fast in between")
}

func TestASteadyToolIsStoppedBeforeItCatchesUp(t *testing.T) {
	paced := beginPaced(t, firstPause)
	steady := func(has func(int) bool) (stopped bool) {
		paced.taken = 1
		paced.steady(has)
		return paced.taken == 0
	}
	require.False(t, steady(little), "when it catches up is not known")
	paced.hold(little)
	require.False(t, steady(little), "the first pause tells nothing")

	paced.begun, paced.ended, paced.taken = time.Now(), time.Now().Add(-time.Hour), gainRate
	paced.hold(little)
	require.InEpsilon(t, 7*time.Hour/8, paced.run, 0.01)
	require.False(t, steady(little), "it runs for a moment only")
	paced.ended = time.Now().Add(-paced.run)
	require.False(t, steady(func(bytes int) bool { return bytes <= pipeBytes/2 }), "it waits for who reads")
	before := paced.run
	require.True(t, steady(little))
	require.Equal(t, before+before/32, paced.run)
	require.False(t, steady(little), "it has just gone on")

	paced.begun, paced.taken = time.Now().Add(-time.Second), 0
	paced.hold(little)
	require.Zero(t, paced.run, "it has become slow")
	paced.ended = time.Time{}
	require.False(t, steady(little))
}
