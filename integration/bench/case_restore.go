package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/integration/bench/report"
)

const restoredName = "restored"

// measureRestore restores the shop into a new database, against pg_restore of the same dump in a file,
// with one job and with several.
func measureRestore(ctx context.Context, s *suite, section *report.Section) error {
	section.Title = "restore: restore into a new database"
	section.About = s.aboutShop() + " DataGuardian also checks the backup end to end before its first write, and swaps the new database in by name."
	section.Commands = []string{
		"pg_dump -Fc -Z0 $DB > file", "createdb -T template0 restored; pg_restore -j N -d restored file  # pg_restore alone",
		`POST /api/backups/{id}/restore {"target_database": "restored", "parallel_jobs": N, …}  # DataGuardian`,
	}
	file := filepath.Join(s.dir, "restore.dump")
	comparing := comparison{
		prepare: func(ctx context.Context) error {
			if err := s.makeStored(ctx); err != nil {
				return err
			}
			address := s.server.Address(shopName)
			_, err := measure.Pipeline{Commands: [][]string{s.server.Tools.Dump(address)}, Environment: address.Environment()}.Run(ctx, file)
			return err
		},
	}
	var pairs [][2]*measure.Series
	for _, jobs := range distinct(1, s.jobs) {
		alone, guardian := s.pgRestore(file, jobs), s.restore(jobs)
		pairs = append(pairs, [2]*measure.Series{guardian.series, alone.series})
		comparing.contestants = append(comparing.contestants, alone, guardian)
		comparing.bases = append(comparing.bases, alone.series)
	}
	comparing.limits = func() (limits []report.Limit) {
		for _, pair := range pairs {
			limits = append(limits, report.WallRatio(pair[0], pair[1], 1.05))
		}
		// Of the most jobs: they need the most.
		return append(limits, report.PeakRSS(pairs[len(pairs)-1][0], maxRSS))
	}
	return comparing.run(ctx, s, section)
}

func distinct(a, b int) []int {
	if a == b {
		return []int{a}
	}
	return []int{a, b}
}

// clean removes what was restored, and settles the server.
func (s *suite) clean(ctx context.Context) error {
	if err := s.server.Drop(ctx, restoredName); err != nil {
		return err
	}
	return s.server.Checkpoint(ctx)
}

func (s *suite) pgRestore(file string, jobs int) contestant {
	server, tools := s.server.Address(restoredName), s.server.Tools
	create := append([]string{tools.CreateDB, "--no-password", "-T", "template0"}, server.Arguments()...)
	load := append([]string{tools.PgRestore, "--no-password", "-j", fmt.Sprint(jobs), "-d", restoredName}, append(server.ServerArguments(), file)...)
	return contestant{
		series: &measure.Series{Name: fmt.Sprintf("pg_restore -j %d alone", jobs)},
		ready:  s.clean,
		run: func(ctx context.Context) (measure.Run, error) {
			return measure.Sequence(ctx, measure.Pipeline{Commands: [][]string{create}, Environment: server.Environment()},
				measure.Pipeline{Commands: [][]string{load}, Environment: server.Environment()})
		},
	}
}

func (s *suite) restore(jobs int) contestant {
	return contestant{
		series: &measure.Series{Name: fmt.Sprintf("%s, %d jobs", nameDataGuardian, jobs)},
		ready:  s.clean,
		run: func(ctx context.Context) (measure.Run, error) {
			return s.stored.job.Restore(ctx, s.stored.backup.ID, restoredName, jobs)
		},
	}
}
