package measure

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAPipelineMovesEveryByteAndMeasuresItsPrograms(t *testing.T) {
	dir := t.TempDir()
	p := Pipeline{Commands: [][]string{{"head", "-c", "3000000", "/dev/zero"}, {"cat"}, {"cat"}}, Durable: dir}

	r, err := p.Run(t.Context(), filepath.Join(dir, "out"))
	require.NoError(t, err)
	require.EqualValues(t, 3_000_000, r.Stored)
	require.Positive(t, r.Wall)
	require.Greater(t, r.PeakRSS, int64(100_000))
}

func TestAPipelineFailsWhenAnyOfItsProgramsFails(t *testing.T) {
	for _, test := range []struct {
		name     string
		commands [][]string
		want     string
	}{
		{"the first program", [][]string{{"cat", "/does/not/exist"}, {"cat"}}, "No such file"},
		{"the last program", [][]string{{"head", "-c", "10", "/dev/zero"}, {"cat", "/does/not/exist"}}, "No such file"},
		{"a program that is not installed", [][]string{{"head", "-c", "10", "/dev/zero"}, {"/does/not/exist"}}, "start /does/not/exist"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Pipeline{Commands: test.commands}.Run(t.Context(), filepath.Join(t.TempDir(), "out"))
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestPipelinesInSequenceAddUp(t *testing.T) {
	wait := Pipeline{Commands: [][]string{{"sleep", "0.05"}}}
	r, err := Sequence(t.Context(), wait, wait)
	require.NoError(t, err)
	require.GreaterOrEqual(t, r.Wall, 100*time.Millisecond)
	require.Zero(t, r.Stored)

	_, err = Sequence(t.Context(), wait, Pipeline{Commands: [][]string{{"false"}}})
	require.ErrorContains(t, err, "exit status 1")
}

func TestTheFiguresOfAProcessAreReadFromProc(t *testing.T) {
	deadline := time.Now().Add(10 * time.Second)
	for spent := time.Duration(0); spent < 20*time.Millisecond; {
		require.True(t, time.Now().Before(deadline))
		var err error
		spent, err = CPU(os.Getpid())
		require.NoError(t, err)
	}
	peak, err := PeakRSS(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, peak, int64(1<<20))
	require.Less(t, peak, int64(4<<30))
}

func TestAForgottenPeakIsMeasuredAnew(t *testing.T) {
	large := make([]byte, 64<<20)
	for i := range large {
		large[i] = 1
	}
	before, err := PeakRSS(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, before, int64(64<<20))
	runtime.KeepAlive(large) // and from here on it is garbage
	debug.FreeOSMemory()
	require.NoError(t, ForgetPeak(os.Getpid()))
	after, err := PeakRSS(os.Getpid())
	require.NoError(t, err)
	require.Less(t, after, before)
}

func TestChildrenThatStillRunBelongToTheTree(t *testing.T) {
	// The children end by themselves when this test closes their input.
	shell := exec.Command("sh", "-c", "(while :; do :; done) & child=$!; read line; kill $child; wait")
	input, err := shell.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, shell.Start())
	t.Cleanup(func() {
		require.NoError(t, input.Close())
		_ = shell.Wait()
	})
	require.Eventually(t, func() bool {
		own, err := CPU(shell.Process.Pid)
		require.NoError(t, err)
		tree, err := TreeCPU(shell.Process.Pid)
		require.NoError(t, err)
		return tree > own+50*time.Millisecond
	}, 2*time.Minute, 20*time.Millisecond)
}

func TestOnlyWhatGrewCounts(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	write("kept", "12345")
	write("deleted", "123")
	before, err := Files(dir)
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, "deleted")))
	write("kept", "12345678")
	write("new", "1234")
	after, err := Files(dir)
	require.NoError(t, err)
	require.EqualValues(t, 3+4, Grown(before, after))

	none, err := Files(filepath.Join(dir, "not there"))
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestAMedianIsEachFiguresOwnAndThePeakTheHighest(t *testing.T) {
	s := &Series{Runs: []Run{{Wall: 9, Added: 1, PeakRSS: 5}, {Wall: 4, Added: 3, PeakRSS: 7}, {Wall: 3, Added: 2, PeakRSS: 6}}}
	require.Equal(t, Run{Wall: 4, Added: 2, PeakRSS: 7}, s.Median())
	require.True(t, s.Measured())
	require.False(t, (*Series)(nil).Measured())
	require.Zero(t, (&Series{}).Median())
}
