package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAPipelineMovesEveryByteAndMeasuresItsPrograms(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	p := pipeline{commands: [][]string{{"head", "-c", "3000000", "/dev/zero"}, {"cat"}, {"cat"}}}

	m, err := p.run(t.Context(), path)
	require.NoError(t, err)
	require.EqualValues(t, 3_000_000, m.Stored)
	require.Positive(t, m.Wall)
	require.Greater(t, m.PeakRSS, int64(100_000))
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
			_, err := pipeline{commands: test.commands}.run(t.Context(), filepath.Join(t.TempDir(), "out"))
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestTheReportTellsWhichLimitsBroke(t *testing.T) {
	runs := func(peak int64, walls ...time.Duration) contestant {
		c := contestant{Name: "c"}
		for _, wall := range walls {
			c.runs = append(c.runs, measurement{Wall: wall * time.Second, PeakRSS: peak, Stored: 5 << 20})
		}
		return c
	}
	for _, test := range []struct {
		name     string
		platform contestant
		want     []string
	}{
		{"as fast as the pipeline and small enough", runs(300<<20, 9, 4, 3), nil},
		{"slower than the pipeline", runs(1, 5, 5, 1), []string{"wall time is 1.25 ×"}},
		{"too large once", runs(301<<20, 1), []string{"peak RSS is 301 MiB"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := result{Scale: 50, Command: "make bench SCALE=50", Dump: runs(1, 2), Shell: runs(1, 4, 100, 3), Platform: test.platform}
			broken := r.broken()
			require.Len(t, broken, len(test.want))
			for i, want := range test.want {
				require.Contains(t, broken[i], want)
			}
			var text strings.Builder
			require.NoError(t, r.write(&text))
			require.Contains(t, text.String(), "make bench SCALE=50")
			require.Contains(t, text.String(), "| c | 4.00 s | 2.00 × | 1.00 × |")
		})
	}
}

func TestTheFiguresOfAProcessAreReadFromProc(t *testing.T) {
	deadline := time.Now().Add(10 * time.Second)
	for spent := time.Duration(0); spent < 20*time.Millisecond; {
		require.True(t, time.Now().Before(deadline))
		var err error
		spent, err = cpuTime(os.Getpid())
		require.NoError(t, err)
	}
	peak, err := peakRSS(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, peak, int64(1<<20))
	require.Less(t, peak, int64(4<<30))
}

func TestVersionsAreFoundInWhatProgramsSay(t *testing.T) {
	for said, want := range map[string]string{
		"*** zstd command line interface 64-bits v1.5.4, by Yann Collet ***": "1.5.4",
		"v1.1.1\n":    "1.1.1",
		"(unknown)\n": "(unknown)",
	} {
		require.Equal(t, want, versionIn(said))
	}
}
