package main

import (
	"context"
	"fmt"

	"github.com/dataguardian/dataguardian/integration/bench/database"
	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/integration/bench/platform"
	"github.com/dataguardian/dataguardian/integration/bench/report"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// again is a second backup of a database by everybody who knows the first one: the first is made
// before the rounds, into repositories of the case's own.
type again struct {
	s              *suite
	address        database.Address
	dump, guardian contestant
	restic, kopia  contestant
	first          *measure.Series // DataGuardian's first backup
	job            *platform.Job
}

func (s *suite) again() *again {
	a := &again{s: s, address: s.server.Address(shopName), first: &measure.Series{Name: "the first"}}
	a.dump = s.dump(a.address)
	a.guardian = contestant{
		series: &measure.Series{Name: nameDataGuardian},
		run:    func(ctx context.Context) (measure.Run, error) { return backUp(ctx, a.job, domain.Incremental) },
	}
	both := s.rivals(func(series *measure.Series, open opener) contestant {
		dir := s.freshDir(series.Name)
		var into repository
		return contestant{
			series: series, rival: true,
			ready: func(ctx context.Context) (err error) {
				if into != nil {
					return nil
				}
				if into, err = open(ctx, dir); err != nil {
					return err
				}
				_, _, err = into.BackUp(ctx, s.server.Tools.Dump(a.address), a.address.Environment())
				return err
			},
			run: func(ctx context.Context) (measure.Run, error) {
				r, _, err := into.BackUp(ctx, s.server.Tools.Dump(a.address), a.address.Environment())
				return r, err
			},
		}
	})
	a.restic, a.kopia = both[0], both[1]
	return a
}

// prepare makes the shop and everybody's first backup of it.
func (a *again) prepare(ctx context.Context) (err error) {
	if err := a.s.makeShop(ctx); err != nil {
		return err
	}
	say("first backups")
	for _, rival := range []contestant{a.restic, a.kopia} {
		if rival.series.Missing != "" {
			continue
		}
		if err := rival.ready(ctx); err != nil {
			rival.series.Missing = err.Error()
		}
	}
	// Another full backup is not what is measured: one a round, the warm-up, and one to spare.
	options := domain.BackupOptions{BackupType: domain.Incremental, FullEvery: a.s.repetitions + 2}
	a.job, err = a.s.job(ctx, a.address, options)
	if err != nil {
		return err
	}
	r, made, err := a.job.BackUp(ctx)
	if err == nil && made.Type != domain.Full {
		err = fmt.Errorf("the first backup is %s, not full", made.Type)
	}
	a.first.Runs = append(a.first.Runs, r)
	return err
}

func (a *again) comparison(limits func() []report.Limit) comparison {
	return comparison{
		prepare:     a.prepare,
		contestants: []contestant{a.dump, a.restic, a.kopia, a.guardian},
		bases:       []*measure.Series{a.dump.series, a.restic.series, a.kopia.series},
		limits:      limits,
	}
}

// backupCommands are shown for the cases that back up again.
var backupCommands = []string{showDump, showRestic, showKopia, `POST /api/backup-jobs/{id}/run  # DataGuardian: "backup_type": "incremental"`}

func measureUnchanged(ctx context.Context, s *suite, section *report.Section) error {
	section.Title = "unchanged: backup after nothing changed"
	section.About = s.aboutShop() + " Everybody has stored it before."
	section.Commands = backupCommands
	a := s.again()
	return a.comparison(func() []report.Limit {
		return []report.Limit{
			report.StoredShare(a.guardian.series, a.first, 0.003),
			report.WallRatio(a.guardian.series, a.dump.series, 1.05),
			report.PeakRSS(a.guardian.series, maxRSS),
		}
	}).run(ctx, s, section)
}

func measureAppended(ctx context.Context, s *suite, section *report.Section) error {
	section.Title = "appended: backup after 1 % was appended"
	section.About = s.aboutShop() + " Before each round orders and events grow by 1 % of their rows; everybody has stored the state before."
	section.Commands = backupCommands
	a := s.again()
	c := a.comparison(func() []report.Limit { return []report.Limit{report.PeakRSS(a.guardian.series, maxRSS)} })
	c.change = func(ctx context.Context, _ int) error { return s.shop.Append(ctx) }
	return c.run(ctx, s, section)
}

func measureUpdated(ctx context.Context, s *suite, section *report.Section) error {
	section.Title = "updated: backup after 1 % of a table's rows was updated at random"
	section.About = s.aboutShop() + " Before each round one order in a hundred, spread over the whole table, changes in place (it stays on its " +
		"page: fillfactor 90); everybody has stored the state before. A change every hundred rows touches every chunk of the table at " +
		"any chunk size that is not tiny, so what is stored again is the table, and the share that it has in the dump."
	section.Commands = backupCommands
	a := s.again()
	c := a.comparison(func() []report.Limit {
		return []report.Limit{report.AddedAtMost(a.guardian.series, a.restic.series), report.PeakRSS(a.guardian.series, maxRSS)}
	})
	c.change = func(ctx context.Context, round int) error { return s.shop.Update(ctx, round) }
	return c.run(ctx, s, section)
}
