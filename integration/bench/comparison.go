package main

import (
	"context"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/integration/bench/report"
)

// comparison is how most cases measure: make the data, let all contestants run, judge.
type comparison struct {
	prepare     func(ctx context.Context) error
	change      func(ctx context.Context, round int) error // before each round; may be nil
	contestants []contestant
	bases       []*measure.Series
	limits      func() []report.Limit
	leastRounds int // that count, of a case whose single runs differ by more than what it judges
}

// run fills the section, with its limits also when something failed.
func (c comparison) run(ctx context.Context, s *suite, section *report.Section) error {
	err := c.prepare(ctx)
	if err == nil {
		err = s.rounds(ctx, max(s.repetitions, c.leastRounds), c.contestants, c.change)
	}
	for _, contestant := range c.contestants {
		section.Series = append(section.Series, contestant.series)
	}
	section.Bases, section.Limits = c.bases, c.limits()
	return err
}
