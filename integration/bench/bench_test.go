package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/integration/bench/remote"
	"github.com/dataguardian/dataguardian/integration/bench/report"
)

func TestSizesHaveUnits(t *testing.T) {
	for text, want := range map[string]byteSize{"2GB": 2e9, "100mb": 1e8, "1.5 GiB": 3 << 29, "512": 512, "7kB": 7000} {
		var size byteSize
		require.NoError(t, size.Set(text))
		require.Equal(t, want, size, text)
	}
	for _, text := range []string{"", "GB", "0", "-1MB", "2 apples"} {
		require.Error(t, new(byteSize).Set(text), text)
	}
	size := byteSize(2e9)
	require.Equal(t, "2GB", size.String())
}

func TestCasesAreChosenByNameAndRunInTheirOrder(t *testing.T) {
	chosen, err := chooseCases("updated, first")
	require.NoError(t, err)
	require.Equal(t, []string{"first", "updated"}, []string{chosen[0].name, chosen[1].name})

	_, err = chooseCases("first,last")
	require.ErrorContains(t, err, `no case "last"`)
	chosen, err = chooseCases("storage")
	require.NoError(t, err)
	require.Len(t, chosen, 6, "three places, two sizes")
	require.Equal(t, 1, strings.Count(allCases(), "storage"))
	require.NotContains(t, defaultCases(), "long")
	require.Contains(t, allCases(), "long")
}

func TestContestantsTakeTurnsAndTheFirstRoundIsForgotten(t *testing.T) {
	s := &suite{dir: t.TempDir()}
	var order []string
	named := func(name string) contestant {
		return contestant{series: &measure.Series{Name: name}, run: func(context.Context) (measure.Run, error) {
			order = append(order, name)
			return measure.Run{Wall: 1}, nil
		}}
	}
	a, b, c := named("a"), named("b"), named("c")
	changes := 0
	require.NoError(t, s.rounds(t.Context(), 2, []contestant{a, b, c}, func(context.Context, int) error { changes++; return nil }))
	require.Equal(t, []string{"a", "b", "c", "b", "c", "a", "c", "a", "b"}, order)
	require.Len(t, a.series.Runs, 2)
	require.Equal(t, 3, changes)
}

func TestARivalThatFailsIsLeftOutAndAnotherEndsTheCase(t *testing.T) {
	s := &suite{dir: t.TempDir()}
	broken := contestant{series: &measure.Series{Name: "x"}, run: func(context.Context) (measure.Run, error) { return measure.Run{}, errors.New("no") }}
	require.ErrorContains(t, s.rounds(t.Context(), 1, []contestant{broken}, nil), "x: no")

	broken.rival = true
	require.NoError(t, s.rounds(t.Context(), 1, []contestant{broken}, nil))
	require.Equal(t, "no", broken.series.Missing)
	require.False(t, broken.series.Measured())
}

func TestObjectsHaveTheirSizeAndTheLastOneTheRest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "objects")
	require.NoError(t, makeObjects(dir, 2500, 1000))
	files, err := measure.Files(dir)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{
		filepath.Join(dir, "object-00000"): 1000, filepath.Join(dir, "object-00001"): 1000, filepath.Join(dir, "object-00002"): 500,
	}, files)
	first, err := os.ReadFile(filepath.Join(dir, "object-00000"))
	require.NoError(t, err)
	second, err := os.ReadFile(filepath.Join(dir, "object-00001"))
	require.NoError(t, err)
	require.NotEqual(t, first, second)
}

func TestAServerThatCanNotBeHadIsNotMeasured(t *testing.T) {
	c := storageCase{place: "an S3 server", size: 4 << 20, min: 0.95, rivals: []copier{{name: nameRclone, limits: true}, {name: nameRcloneUnchecked}}, start: startS3}
	s := &suite{dir: t.TempDir(), gateway: peer{missing: "no module proxy"}}
	var section report.Section
	require.NoError(t, c.run(t.Context(), s, &section))
	require.Len(t, section.Limits, 2, "one rival is not judged by")
	require.Len(t, section.Series, 6)
	for _, limit := range section.Limits {
		require.Equal(t, report.NotMeasured, limit.Verdict)
		require.Contains(t, limit.Got, "no module proxy")
	}
}

func TestAMissingRcloneIsNotMeasured(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	made := transfers{s: &suite{}, place: &remote.Place{Rclone: "bench:"}}.rivalPut(copier{name: nameRclone})
	require.True(t, made.rival)
	require.Contains(t, made.series.Missing, "not installed")
}

func TestAShortCaseHasMoreRounds(t *testing.T) {
	s := &suite{options: options{repetitions: 1}, dir: t.TempDir()}
	a := contestant{series: &measure.Series{Name: "a"}, run: func(context.Context) (measure.Run, error) { return measure.Run{Wall: 1}, nil }}
	short := comparison{
		prepare: func(context.Context) error { return nil }, contestants: []contestant{a}, leastRounds: 3, limits: func() []report.Limit { return nil },
	}
	require.NoError(t, short.run(t.Context(), s, new(report.Section)))
	require.Len(t, a.series.Runs, 3)
}
