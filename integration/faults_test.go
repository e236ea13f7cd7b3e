package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestACancelledBackupEndsPgDumpAndLeavesNothing(t *testing.T) {
	s := newSetup(t, withNoise(60))
	running := s.start(t)
	dump := freezeDump(t, s.database, nil)
	_, err := shared.owner.Cancel(t.Context(), running.ID)
	require.NoError(t, err)

	ended := wait(t, running)
	require.Equal(t, domain.Cancelled, ended.Status, ended.ErrorMessage)
	require.False(t, alive(dump), "pg_dump is still there")
	s.requireNothingLeft(t, ended)

	again := s.backUp(t)
	require.Equal(t, domain.Completed, again.Status, "a cancelled run blocks the job: %s", again.ErrorMessage)
}

func TestAnotherWorkerFinishesTheDumpOfAKilledOne(t *testing.T) {
	const pool = "killed"
	s := newSetup(t, withNoise(100), withPool(pool))
	first := shared.spawnWorker(t, pool)
	running := s.start(t)
	dump := freezeDump(t, s.database, func() bool { return s.chunkRows(t, running) > 0 })
	recorded := s.modTimes(t, running)
	require.NotEmpty(t, recorded)
	first.kill()
	// It is stopped, so it can not see that its reader is gone: the kernel ends it with its worker.
	require.Eventually(t, func() bool { return !alive(dump) }, 10*time.Second, 5*time.Millisecond, "pg_dump outlives its worker")

	shared.spawnWorker(t, pool)
	ended := wait(t, running)
	require.Equal(t, domain.Completed, ended.Status, ended.ErrorMessage)
	require.Equal(t, int32(2), s.attempts(t, ended, "Dump"))
	require.NotNil(t, ended.Metadata.Progress)
	require.GreaterOrEqual(t, s.skipped(t, ended), int64(len(recorded))*9/10, "the second worker sent again what was there")
	after := s.modTimes(t, ended)
	kept := 0
	for path, at := range recorded {
		if now, there := after[path]; there {
			require.Equal(t, at, now, "%s was written twice", filepath.Base(path))
			kept++
		}
	}
	require.GreaterOrEqual(t, kept, len(recorded)*9/10)
	require.Equal(t, s.chunkRows(t, ended), len(s.chunks(t)), "objects that nothing refers to were left")

	restored := s.restore(t, ended, restoreTo(s.database+"_copy"))
	require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
	s.requireSame(t, s.database, s.database+"_copy")
}

func TestAPausedWorkerThatWakesUpLateChangesNothing(t *testing.T) {
	const pool = "paused"
	s := newSetup(t, withNoise(60), withPool(pool))
	first := shared.spawnWorker(t, pool)
	running := s.start(t)
	dump := freezeDump(t, s.database, func() bool { return s.chunkRows(t, running) > 0 })
	require.NoError(t, first.cmd.Process.Signal(syscall.SIGSTOP))

	shared.spawnWorker(t, pool)
	ended := wait(t, running)
	require.Equal(t, domain.Completed, ended.Status, ended.ErrorMessage)
	require.GreaterOrEqual(t, s.attempts(t, ended, "Dump"), int32(2))

	// The first worker goes on where it was, until it finds that it was overtaken and ends its pg_dump.
	require.NoError(t, first.cmd.Process.Signal(syscall.SIGCONT))
	require.NoError(t, syscall.Kill(dump, syscall.SIGCONT))
	require.Eventually(t, func() bool { return !alive(dump) }, patience, 50*time.Millisecond)
	require.NoError(t, first.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, first.cmd.Wait())

	restored := s.restore(t, ended, restoreTo(s.database+"_copy"))
	require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
	s.requireSame(t, s.database, s.database+"_copy")
}

func TestASecondRunOfAJobIsRefusedWhileOneIsActive(t *testing.T) {
	s := newSetup(t, withNoise(60))
	running := s.start(t)
	freezeDump(t, s.database, nil)
	_, err := shared.owner.RunJob(t.Context(), s.job.ID, nil)
	require.Equal(t, 409, client.Status(err))
	require.ErrorContains(t, err, running.ID)
	_, err = shared.owner.Cancel(t.Context(), running.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Cancelled, wait(t, running).Status)
}

// modTimes is when each chunk that the catalogue has recorded for the execution was written.
func (s *setup) modTimes(t *testing.T, e client.Execution) map[string]time.Time {
	t.Helper()
	rows, err := shared.db.ListChunks(t.Context(), e.ID)
	require.NoError(t, err)
	known := map[string]bool{}
	for _, row := range rows {
		known[fmt.Sprintf("%x", row.ID)] = true
	}
	times := map[string]time.Time{}
	for _, path := range s.chunks(t) {
		id, _, _ := strings.Cut(filepath.Base(path), ".")
		if info, err := os.Stat(path); err == nil && known[id] {
			times[path] = info.ModTime()
		}
	}
	return times
}

// skipped reads from the log how many chunks the dump found stored already.
func (s *setup) skipped(t *testing.T, e client.Execution) int64 {
	t.Helper()
	for _, line := range e.Metadata.ExecutionLogs {
		if _, rest, found := strings.Cut(line.Message, " bytes stored, "); found {
			number, _, _ := strings.Cut(rest, " ")
			n, err := strconv.ParseInt(number, 10, 64)
			require.NoError(t, err)
			return n
		}
	}
	t.Fatal("the log does not say how much was there already")
	return 0
}

// freezeDump stops the pg_dump of a database in the middle of its work with SIGSTOP, so that what
// happens next does not depend on how fast the machine is, and waits until then holds. It returns
// the process id.
func freezeDump(t *testing.T, database string, then func() bool) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	poll := func(what string, holds func() bool) {
		ticker := time.NewTicker(2 * time.Millisecond)
		defer ticker.Stop()
		for !holds() {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				t.Fatalf("%s did not happen in time", what)
			}
		}
	}
	var pid int
	poll("the start of the data", func() bool {
		pid = findDump(database)
		return pid != 0 && written(pid) > 4<<20
	})
	stopped := 0 // looks in a row: the worker stops it for moments too, and whoever comes in between is undone by that
	poll("the stop of pg_dump", func() bool {
		if stateOf(pid) == "T" {
			stopped++
		} else {
			stopped = 0
			require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
		}
		return stopped == 10
	})
	t.Cleanup(func() {
		if findDump(database) == pid {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	if then != nil {
		poll("the recording of chunks", then)
	}
	return pid
}

// stateOf is the letter of a process's state, "" when there is none.
func stateOf(pid int) string {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, behind, _ := strings.Cut(string(stat), ") ")
	return behind[:min(1, len(behind))]
}

// findDump is the process id of the pg_dump of a database, 0 when there is none.
func findDump(database string) int {
	entries, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, entry := range entries {
		line, err := os.ReadFile(entry)
		if err != nil || !strings.Contains(filepath.Base(strings.SplitN(string(line), "\x00", 2)[0]), "pg_dump") {
			continue
		}
		if strings.Contains("\x00"+environ(entry), "\x00PGDATABASE="+database+"\x00") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(entry)))
			return pid
		}
	}
	return 0
}

func environ(cmdline string) string {
	content, _ := os.ReadFile(filepath.Join(filepath.Dir(cmdline), "environ"))
	return string(content)
}

// written is how many bytes a process has written, by the kernel's count.
func written(pid int) int64 {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	for line := range strings.Lines(string(content)) {
		if value, found := strings.CutPrefix(line, "wchar: "); found {
			n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return n
		}
	}
	return 0
}

// alive reports whether a process exists and is not a zombie.
func alive(pid int) bool {
	state := stateOf(pid)
	return state != "" && state != "Z"
}
