package report

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
)

func series(name string, runs ...measure.Run) *measure.Series {
	return &measure.Series{Name: name, Runs: runs}
}

func TestALimitHoldsUpToItsBound(t *testing.T) {
	wall := func(seconds float64) measure.Run {
		return measure.Run{Wall: time.Duration(seconds * float64(time.Second))}
	}
	for name, test := range map[string]struct {
		limit Limit
		got   string
		want  Verdict
	}{
		"as slow as allowed":              {WallRatio(series("a", wall(1), wall(2), wall(9)), series("b", wall(4)), 0.5), "0.50 ×", Holds},
		"too slow":                        {WallRatio(series("a", wall(2.1)), series("b", wall(4)), 0.5), "0.53 ×", Broken},
		"the other is missing":            {WallRatio(series("a", wall(1)), &measure.Series{Name: "b", Missing: "no proxy\nmore"}, 1), "b: no proxy", NotMeasured},
		"this one is missing":             {WallRatio(series("a"), series("b", wall(1)), 1), "a: it did not run", NotMeasured},
		"as fast as asked for":            {RateRatio(series("a", wall(2)), series("b", wall(3)), 1.5), "1.50 ×", Holds},
		"not as fast as asked for":        {RateRatio(series("a", wall(2)), series("b", wall(2.9)), 1.5), "1.45 ×", Broken},
		"little added":                    {WallDifference(series("a", wall(2.5)), series("b", wall(2)), time.Second/2), "+ 0.50 s", Holds},
		"much added":                      {WallDifference(series("a", wall(2.6)), series("b", wall(2)), time.Second/2), "+ 0.60 s", Broken},
		"almost nothing stored":           {StoredShare(series("a", measure.Run{Stored: 3}), series("b", measure.Run{Stored: 1000}), 0.003), "0.30 %", Holds},
		"too much stored":                 {StoredShare(series("a", measure.Run{Stored: 4}), series("b", measure.Run{Stored: 1000}), 0.003), "0.40 %", Broken},
		"as much new as the other":        {AddedAtMost(series("a", measure.Run{Added: 5 << 20}), series("b", measure.Run{Added: 5 << 20})), "5.00 MiB against 5.00 MiB", Holds},
		"more new than the other":         {AddedAtMost(series("a", measure.Run{Added: 6 << 20}), series("b", measure.Run{Added: 5 << 20})), "6.00 MiB against 5.00 MiB", Broken},
		"the highest peak is what counts": {PeakRSS(series("a", measure.Run{PeakRSS: 1}, measure.Run{PeakRSS: 11 << 20}), 10<<20), "11 MiB", Broken},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.got, test.limit.Got)
			require.Equal(t, test.want, test.limit.Verdict)
		})
	}
}

func TestThePageTellsWhatWasMeasuredAndWhatIsBroken(t *testing.T) {
	slow := series("slow", measure.Run{Wall: 3 * time.Second, Stored: 5 << 20}, measure.Run{Wall: 4 * time.Second, Stored: 5 << 20}, measure.Run{Wall: 9 * time.Second})
	fast := series("fast", measure.Run{Wall: 2 * time.Second})
	page := Page{Command: "make bench SIZE=1GB", Versions: []string{"Postgres 1"}, Repetitions: 3, Sections: []Section{
		{
			Title: "one", Commands: []string{"run this"}, Series: []*measure.Series{slow, fast, {Name: "gone", Missing: "it | broke"}},
			Bases: []*measure.Series{fast}, Limits: []Limit{WallRatio(slow, fast, 1.5), WallRatio(fast, slow, 1)},
		},
		{Title: "two", Failed: "no disk\nat all"},
	}}
	text := string(page.Markdown())
	for _, want := range []string{
		"make bench SIZE=1GB", "    run this\n",
		"| slow | 4.00 s | 2.00 × | 0.00 s | 0.00 MiB | 5.00 MiB | – | 3.00, 4.00, 9.00 |",
		`| gone | it \| broke |`,
		"| wall ≤ 1.50 × fast | one | 2.00 × | **does not hold** |",
		"**This case failed:** no disk\n",
	} {
		require.Contains(t, text, want)
	}
	require.Equal(t, []string{"one: wall ≤ 1.50 × fast is 2.00 ×", "two: failed: no disk"}, page.Broken())
}

func TestALimitWhoseRivalIsMissingIsNotMeasured(t *testing.T) {
	fast := series("fast", measure.Run{Wall: 2 * time.Second})
	page := Page{Sections: []Section{{Title: "one", Limits: []Limit{WallRatio(fast, &measure.Series{Name: "gone", Missing: "it broke"}, 0.5), WallRatio(fast, fast, 1)}}}}
	require.Empty(t, page.Broken())
	require.Equal(t, []string{"one: wall ≤ 0.50 × gone was not measured"}, page.Unmeasured())
}

func TestACaseOfNotesAloneHasNoEmptyTables(t *testing.T) {
	text := string(Page{Sections: []Section{{Title: "one", About: "what it is", Notes: []string{"what came of it"}}}}.Markdown())
	require.NotContains(t, text, "## Limits")
	require.NotContains(t, text, "|---|")
	require.Contains(t, text, "## one\n\nwhat it is\n\nwhat came of it\n")
}
