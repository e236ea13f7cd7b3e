package main

import (
	"context"
	"fmt"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/integration/bench/report"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// measureIncompressible backs up bytes that no compression makes smaller.
func measureIncompressible(ctx context.Context, s *suite, section *report.Section) error {
	const name = "incompressible"
	section.Title = "incompressible: first backup of random bytes"
	section.About = aboutRandom(s.incompressible)
	section.Commands = []string{showDump, showShell, showDisk, showRestic, showKopia, showBackup}
	address := s.server.Address(name)
	dump, shell, guardian := s.dump(address), s.shell(address), s.guardian(address, domain.Full)
	rivals := s.firstBackups(address)
	err := comparison{
		prepare:     func(ctx context.Context) error { return s.makeRandom(ctx, name, s.incompressible) },
		contestants: []contestant{dump, shell, s.disk(), rivals[0], rivals[1], guardian},
		bases:       []*measure.Series{dump.series, shell.series, rivals[0].series, rivals[1].series},
		limits:      func() []report.Limit { return []report.Limit{report.PeakRSS(guardian.series, maxRSS)} },
	}.run(ctx, s, section)
	return firstError(err, s.server.Drop(context.WithoutCancel(ctx), name))
}

// measureLong is one backup of very much, which shows that memory does not grow with it.
func measureLong(ctx context.Context, s *suite, section *report.Section) error {
	const name = "long"
	section.Title = "long: one backup of many random bytes"
	section.About = aboutRandom(s.longSize) + " One run of DataGuardian alone."
	section.Commands = []string{showBackup}
	address := s.server.Address(name)
	guardian := s.guardian(address, domain.Full)
	err := s.makeRandom(ctx, name, s.longSize)
	if err == nil {
		var m measure.Run
		if m, err = s.timed(ctx, guardian); err == nil {
			guardian.series.Runs = append(guardian.series.Runs, m)
		}
	}
	section.Series = []*measure.Series{guardian.series}
	section.Limits = []report.Limit{report.PeakRSS(guardian.series, maxRSS)}
	return firstError(err, s.server.Drop(context.WithoutCancel(ctx), name))
}

func (s *suite) makeRandom(ctx context.Context, name string, size byteSize) error {
	say("filling database %s with %s", name, size.String())
	return s.server.Random(ctx, name, int64(size))
}

func aboutRandom(size byteSize) string {
	return fmt.Sprintf("Large objects with %s of random bytes, which pg_dump writes as they are.", size.String())
}

func firstError(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}
