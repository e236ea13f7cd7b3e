package main

import (
	"context"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/integration/bench/report"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// The limits on memory and machinery.
const (
	maxRSS      = 256 << 20 // bytes, the worker alone
	maxOverhead = 500 * time.Millisecond
)

// measurePgbench is the first benchmark there was, kept with its limits: pgbench's filler compresses
// a hundredfold, so this is about moving bytes.
func measurePgbench(ctx context.Context, s *suite, section *report.Section) error {
	// The shell pipeline's runs of a second and a half differ by a tenth, more than both contestants do.
	const name, maxRSS, leastRounds = "pgbench", 300 << 20, 15
	section.Title = "pgbench: a database that compresses a hundredfold"
	section.About = fmt.Sprintf("First backup of a pgbench database of scale %d. At least %d rounds count, since they are short.", s.scale, leastRounds)
	section.Commands = []string{fmt.Sprintf("pgbench -i -q -s %d $DB", s.scale), showDump, showShell, showBackup}
	address := s.server.Address(name)
	dump, shell, guardian := s.dump(address), s.shell(address), s.guardian(address, domain.Full)
	return comparison{
		prepare:     func(ctx context.Context) error { return s.server.Pgbench(ctx, name, s.scale) },
		contestants: []contestant{dump, shell, guardian},
		bases:       []*measure.Series{dump.series, shell.series},
		leastRounds: leastRounds,
		limits: func() []report.Limit {
			return []report.Limit{report.WallRatio(guardian.series, shell.series, 1.0), report.PeakRSS(guardian.series, maxRSS)}
		},
	}.run(ctx, s, section)
}

// measureFirst is the first backup of the shop, against everybody.
func measureFirst(ctx context.Context, s *suite, section *report.Section) error {
	section.Title = "first: first backup"
	section.About = s.aboutShop() + " Each run stores everything: the rivals into a new repository, DataGuardian as a full backup."
	section.Commands = []string{showDump, showShell, showDisk, showRestic, showKopia, showBackup}
	address := s.server.Address(shopName)
	dump, shell, bare, guardian := s.dump(address), s.shell(address), s.bare(address), s.guardian(address, domain.Full)
	rivals := s.firstBackups(address)
	restic, kopia := rivals[0].series, rivals[1].series
	err := comparison{
		prepare:     s.makeShop,
		contestants: []contestant{dump, shell, s.disk(), rivals[0], rivals[1], bare, guardian},
		bases:       []*measure.Series{dump.series, shell.series, restic, kopia},
		limits: func() []report.Limit {
			return []report.Limit{
				report.WallRatio(guardian.series, restic, 0.55),
				report.WallRatio(guardian.series, kopia, 0.65),
				report.WallRatio(guardian.series, shell.series, 0.9),
				report.PeakRSS(guardian.series, maxRSS),
				report.WallDifference(guardian.series, bare.series, maxOverhead),
			}
		},
	}.run(ctx, s, section)
	section.Notes = append(section.Notes, machinery(guardian.series, bare.series)...)
	return err
}

// machinery says what Temporal, Postgres and the activities add.
func machinery(guardian, bare *measure.Series) []string {
	if !guardian.Measured() || !bare.Measured() {
		return nil
	}
	g, b := guardian.Median(), bare.Median()
	return []string{fmt.Sprintf("*bare pipeline* is the same engine, archive writer and quick check in one process, without Temporal, "+
		"catalogue, API and activities. What these add: %.2f s of wall time as the client sees it, of which the execution (started_at to "+
		"finished_at) has %.2f s; %.2f s of processor time in the worker, and %.2f s in `dataguardian up` (API, Temporal) and the catalogue's Postgres.",
		(g.Wall - b.Wall).Seconds(), (g.Running - b.Wall).Seconds(), (g.CPU - b.CPU).Seconds(), g.Support.Seconds())}
}

func (s *suite) aboutShop() string {
	return fmt.Sprintf("A shop (customers, orders, events with JSON, uuids and numbers; integration/bench/database/shop.sql) whose dump is about %s.", s.size.String())
}
