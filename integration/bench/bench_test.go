package main

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
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
	require.NotContains(t, defaultCases(), "long")
	require.Contains(t, allCases(), "long")
}

func TestContestantsTakeTurnsAndTheFirstRoundIsForgotten(t *testing.T) {
	s := &suite{options: options{repetitions: 2}, dir: t.TempDir()}
	var order []string
	named := func(name string) contestant {
		return contestant{series: &measure.Series{Name: name}, run: func(context.Context) (measure.Run, error) {
			order = append(order, name)
			return measure.Run{Wall: 1}, nil
		}}
	}
	a, b, c := named("a"), named("b"), named("c")
	changes := 0
	require.NoError(t, s.rounds(t.Context(), []contestant{a, b, c}, func(context.Context, int) error { changes++; return nil }))
	require.Equal(t, []string{"a", "b", "c", "b", "c", "a", "c", "a", "b"}, order)
	require.Len(t, a.series.Runs, 2)
	require.Equal(t, 3, changes)
}

func TestARivalThatFailsIsLeftOutAndAnotherEndsTheCase(t *testing.T) {
	s := &suite{options: options{repetitions: 1}, dir: t.TempDir()}
	broken := contestant{series: &measure.Series{Name: "x"}, run: func(context.Context) (measure.Run, error) { return measure.Run{}, errors.New("no") }}
	require.ErrorContains(t, s.rounds(t.Context(), []contestant{broken}, nil), "x: no")

	broken.rival = true
	require.NoError(t, s.rounds(t.Context(), []contestant{broken}, nil))
	require.Equal(t, "no", broken.series.Missing)
	require.False(t, broken.series.Measured())
}
