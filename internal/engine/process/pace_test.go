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
		pace.since = time.Now().Add(-time.Hour) // it was left alone for long enough
		t.Cleanup(func() {
			stop()
			_ = p.Wait()
			pace.close()
		})
		return p, pace
	}
	sleeper, waiting := begin("exec sleep 600")
	for range 5 {
		require.Eventually(t, waiting.waits, time.Minute, time.Millisecond)
		waiting.pause = 0
		before := waiting.since
		waiting.hold(little)
		require.Greater(t, waiting.since, before, "it was stopped")
		require.NotEqual(t, "T", stateOf(sleeper.PID()), "it is left stopped")
	}
	busy, working := begin("while :; do :; done")
	require.Eventually(t, func() bool { return stateOf(busy.PID()) == "R" }, time.Minute, time.Millisecond)
	for range 100 {
		require.False(t, working.waits())
	}
	working.hold(little)
	working.hold(func() int { return fewBytes })
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
	return paced
}

func little() int { return 1 }

// holdAt lets the tool have caught up after a second in which so many bytes came.
func (p *pace) holdAt(t *testing.T, rate float64) {
	t.Helper()
	require.Eventually(t, p.waits, time.Minute, time.Millisecond)
	p.ended = time.Now().Add(-500 * time.Millisecond)
	p.since, p.taken = time.Now().Add(-time.Second), int64(rate)
	p.hold(little)
}

func TestPausesGrowAsLongAsTheyGain(t *testing.T) {
	paced := beginPaced(t, 3*time.Millisecond)
	require.Eventually(t, paced.waits, time.Minute, time.Millisecond)
	paced.hold(little)
	require.Zero(t, paced.pause, "how much comes without pauses is to be seen first")
	require.Equal(t, shortestRest, paced.rest)

	grow := func(rate float64) {
		for _, want := range []time.Duration{firstPause, 2 * firstPause, 4 * firstPause, 3 * time.Millisecond, 3 * time.Millisecond} {
			paced.holdAt(t, rate)
			require.Equal(t, want, paced.pause)
			require.EqualValues(t, -little(), paced.taken, "there was a pause, and what the pipe had came before it")
		}
		require.Zero(t, paced.rest)
	}
	grow(1.1 * gainRate)
	// A tool with many small tables is not to wait for each of them.
	const slow = 0.9 * gainRate
	paced.holdAt(t, slow)
	require.Equal(t, 750*time.Microsecond, paced.pause)
	for _, rest := range []time.Duration{50, 100, 200, 400, 800, 1000, 1000} {
		rest *= time.Millisecond
		begin := time.Now()
		paced.holdAt(t, slow)
		require.Zero(t, paced.pause)
		require.WithinRange(t, paced.since.Add(paced.rest), begin.Add(rest), time.Now().Add(rest))
		paced.since = time.Now().Add(time.Hour)
		paced.hold(little)
		require.Zero(t, paced.pause, "it is left alone")
		paced.holdAt(t, slow)
		require.Equal(t, firstPause, paced.pause, "it is tried again")
	}
	paced.pause = 0
	grow(1.1 * gainRate)

	// With pauses no less is to come than without.
	paced.pause = 0
	grow(3 * gainRate)
	paced.holdAt(t, 2*gainRate)
	paced.holdAt(t, 2*gainRate)
	require.Zero(t, paced.pause)
	require.Equal(t, shortestRest, paced.rest)
}

func TestASteadyToolIsStoppedBeforeItCatchesUp(t *testing.T) {
	paced := beginPaced(t, firstPause)
	steady := func(size int) (stopped bool) {
		before := paced.since
		paced.steady(func() int { return size })
		return paced.since.After(before)
	}
	paced.since = time.Now()
	require.False(t, steady(1), "when it catches up is not known")
	paced.holdAt(t, gainRate)
	require.False(t, steady(1), "the first pause tells nothing")
	paced.holdAt(t, 2*gainRate)
	require.GreaterOrEqual(t, paced.run, 500*time.Millisecond*7/8, "of the half second since the last pause")

	paced.run = time.Hour
	require.False(t, steady(1), "it runs for a moment only")
	paced.ended = time.Now().Add(-2 * time.Hour)
	require.False(t, steady(pipeBytes/2), "it waits for who reads")
	require.True(t, steady(1))
	require.Equal(t, time.Hour+time.Hour/32, paced.run)
	require.False(t, steady(1), "it has just gone on")
	for range mostAhead - 1 {
		paced.ended = time.Now().Add(-2 * time.Hour)
		require.True(t, steady(1))
	}
	require.Zero(t, paced.run, "it should have caught up by now")

	paced.holdAt(t, 2*gainRate)
	require.Positive(t, paced.run)
	paced.holdAt(t, 0)
	require.Zero(t, paced.run, "it has become slow")
}

func TestNothingIsLostWhereverAToolIsStopped(t *testing.T) {
	const size = 32 << 20
	file := filepath.Join(t.TempDir(), "output")
	want := make([]byte, size)
	for i := range want {
		want[i] = byte(i >> 12)
	}
	require.NoError(t, os.WriteFile(file, want, 0o600))
	read, write, err := newOutputPipe()
	require.NoError(t, err)
	defer read.Close()
	tool, err := Start(t.Context(), Command{Path: "/bin/cat", Args: []string{file}, Stdout: write})
	require.NoError(t, err)
	require.NoError(t, write.Close())
	read.pace = newPace(tool, firstPause)
	defer read.pace.close()
	stops, got, buffer := 0, make([]byte, 0, size), make([]byte, 256<<10)
	for err == nil {
		read.pace.pause = firstPause
		read.pace.stop(0)
		stops++
		var n int
		n, err = read.Read(buffer)
		got = append(got, buffer[:n]...)
	}
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, tool.Wait())
	require.True(t, bytes.Equal(want, got))
	require.Greater(t, stops, size/len(buffer))
}
