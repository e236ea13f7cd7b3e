package report

import (
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
)

// Verdict says what became of a limit.
type Verdict string

// A limit is not measured when one of the two that it compares could not run.
const (
	Holds       Verdict = "holds"
	Broken      Verdict = "**does not hold**"
	NotMeasured Verdict = "not measured"
)

// Limit is one promise and what was measured of it.
type Limit struct {
	Text    string
	Got     string
	Verdict Verdict
}

// String reads: text: got, verdict.
func (l Limit) String() string { return fmt.Sprintf("%s: %s, %s", l.Text, l.Got, l.Verdict) }

// WallRatio promises that the median wall time of s is at most max times that of other.
func WallRatio(s, other *measure.Series, max float64) Limit {
	text := fmt.Sprintf("wall ≤ %.2f × %s", max, other.Name)
	if l, missing := missing(text, s, other); missing {
		return l
	}
	got := ratio(s.Median().Wall, other.Median().Wall)
	return Limit{text, fmt.Sprintf("%.2f ×", got), verdict(got <= max)}
}

// RateRatio promises that s, which does the same work, is at least min times as fast as other.
func RateRatio(s, other *measure.Series, min float64) Limit {
	text := fmt.Sprintf("rate ≥ %.2f × %s", min, other.Name)
	if l, missing := missing(text, s, other); missing {
		return l
	}
	got := ratio(other.Median().Wall, s.Median().Wall)
	return Limit{text, fmt.Sprintf("%.2f ×", got), verdict(got >= min)}
}

// WallDifference promises that s takes at most max longer than other.
func WallDifference(s, other *measure.Series, max time.Duration) Limit {
	text := fmt.Sprintf("wall ≤ %s + %s", other.Name, seconds(max))
	if l, missing := missing(text, s, other); missing {
		return l
	}
	got := s.Median().Wall - other.Median().Wall
	return Limit{text, "+ " + seconds(got), verdict(got <= max)}
}

// StoredShare promises that s stores at most a share of what first stored.
func StoredShare(s, first *measure.Series, share float64) Limit {
	text := fmt.Sprintf("stored ≤ %.1f %% of %s", share*100, first.Name)
	if l, missing := missing(text, s, first); missing {
		return l
	}
	got := float64(s.Median().Stored) / float64(max(1, first.Median().Stored))
	return Limit{text, fmt.Sprintf("%.2f %%", got*100), verdict(got <= share)}
}

// AddedAtMost promises that s stores no more bytes, before compression, than other.
func AddedAtMost(s, other *measure.Series) Limit {
	text := "stored before compression ≤ " + other.Name + "'s"
	if l, missing := missing(text, s, other); missing {
		return l
	}
	got, want := s.Median().Added, other.Median().Added
	return Limit{text, fmt.Sprintf("%s against %s", mib(got), mib(want)), verdict(got <= want)}
}

// PeakRSS promises that s never had more than max bytes resident.
func PeakRSS(s *measure.Series, max int64) Limit {
	text := "peak RSS of the worker ≤ " + mib(max)
	if l, missing := missing(text, s); missing {
		return l
	}
	got := s.Median().PeakRSS
	return Limit{text, mib(got), verdict(got <= max)}
}

func missing(text string, all ...*measure.Series) (Limit, bool) {
	for _, s := range all {
		if s.Measured() {
			continue
		}
		why := s.Missing
		if why == "" {
			why = "it did not run"
		}
		return Limit{text, s.Name + ": " + firstLine(why), NotMeasured}, true
	}
	return Limit{}, false
}

func verdict(yes bool) Verdict {
	if yes {
		return Holds
	}
	return Broken
}
