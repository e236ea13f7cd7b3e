package main

import (
	"context"
	"fmt"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
)

// contestant is one way to do a case's work.
type contestant struct {
	series *measure.Series
	// ready, unless nil, runs before each run, outside of its time.
	ready func(ctx context.Context) error
	run   func(ctx context.Context) (measure.Run, error)
	// rival contestants that fail are left out of the report with the reason; the case goes on.
	rival bool
}

// rounds runs the contestants by turns, so that whatever else the machine does hits all of them,
// and lets another one begin each time. The first round warms the page cache and is forgotten; counted are those behind it.
// change, unless nil, runs before each round with its number from 0.
func (s *suite) rounds(ctx context.Context, counted int, contestants []contestant, change func(ctx context.Context, round int) error) error {
	for round := range counted + 1 {
		if change != nil {
			if err := change(ctx, round); err != nil {
				return err
			}
		}
		for i := range contestants {
			c := contestants[(i+round)%len(contestants)]
			if c.series.Missing != "" {
				continue
			}
			if err := s.once(ctx, c, round); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *suite) once(ctx context.Context, c contestant, round int) error {
	m, err := s.timed(ctx, c)
	if err != nil && c.rival && ctx.Err() == nil {
		say("%s is left out: %v", c.series.Name, err)
		c.series.Missing, c.series.Runs = err.Error(), nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.series.Name, err)
	}
	note := " (warm-up)"
	if round > 0 {
		note = ""
		c.series.Runs = append(c.series.Runs, m)
	}
	say("round %d, %-32s wall %6.2f s, CPU %6.2f s, peak RSS %4d MiB, stored %9d%s", round, c.series.Name,
		m.Wall.Seconds(), m.CPU.Seconds(), m.PeakRSS>>20, m.Stored, note)
	return nil
}

func (s *suite) timed(ctx context.Context, c contestant) (measure.Run, error) {
	if c.ready != nil {
		if err := c.ready(ctx); err != nil {
			return measure.Run{}, err
		}
	}
	if err := measure.FlushDisk(s.dir); err != nil {
		return measure.Run{}, err
	}
	return c.run(ctx)
}
