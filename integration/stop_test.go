package integration

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// A deploy stops a worker in the middle of a dump. That is no failure: with a single try it goes on elsewhere.
func TestAnotherWorkerGoesOnWithTheDumpOfAStoppedOne(t *testing.T) {
	const pool = "stopped"
	s := newSetup(t, withNoise(40), withPool(pool))
	first := shared.spawnWorkerWith(t, pool, workerTries+"=1")
	running := s.start(t)
	dump := freezeDump(t, s.database, func() bool { return s.chunkRows(t, running) > 0 })
	recorded := s.modTimes(t, running)
	require.NotEmpty(t, recorded)
	shared.spawnWorkerWith(t, pool, workerTries+"=1")
	stopped := time.Now()
	require.NoError(t, first.cmd.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool { next := findDump(s.database); return next != 0 && next != dump }, patience, 20*time.Millisecond,
		"no other worker went on")
	t.Logf("another worker went on after %s", time.Since(stopped))
	require.NoError(t, first.cmd.Wait(), "a worker that is asked to stop ends with 0")
	require.False(t, alive(dump), "its pg_dump is still there")

	ended := wait(t, running)
	require.Equal(t, domain.Completed, ended.Status, ended.ErrorMessage)
	require.Equal(t, int32(2), s.attempts(t, ended, "Dump"))
	after, kept := s.modTimes(t, ended), 0
	for path, at := range recorded { // the beginning of a dump says when it was made, so the first chunk is another one now
		if now, there := after[path]; there {
			require.Equal(t, at, now, "%s was written twice", filepath.Base(path))
			kept++
		}
	}
	require.GreaterOrEqual(t, kept, len(recorded)*9/10)
	require.Equal(t, s.chunkRows(t, ended), len(s.chunks(t)), "objects that nothing refers to were left")
}
