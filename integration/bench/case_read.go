package main

import (
	"context"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/integration/bench/report"
)

// measureRead reads a whole backup back to nowhere.
func measureRead(ctx context.Context, s *suite, section *report.Section) error {
	section.Title = "read: reading a backup back to /dev/null"
	section.About = s.aboutShop() + " DataGuardian reads with nothing but the storage location and the recovery kit, as after a disaster."
	section.Commands = []string{"restic dump latest /bench.dump > /dev/null  # restic", "kopia show <root>/bench.dump > /dev/null     # kopia", "dataguardian recover dump --storage local:<directory> --identity <recovery kit> <execution id> > /dev/null  # DataGuardian"}
	restic, kopia := s.rivalReads(func(ctx context.Context, from snapshot) (measure.Run, error) {
		return from.repository.Read(ctx, from.id)
	})
	guardian := contestant{series: &measure.Series{Name: nameDataGuardian}, run: func(ctx context.Context) (measure.Run, error) {
		return s.stored.job.Read(ctx, s.stored.identity, s.stored.backup.ID)
	}}
	return comparison{
		prepare:     s.makeStored,
		contestants: []contestant{restic, kopia, guardian},
		bases:       []*measure.Series{restic.series, kopia.series},
		limits: func() []report.Limit {
			return []report.Limit{report.WallRatio(guardian.series, restic.series, 0.6)}
		},
	}.run(ctx, s, section)
}

// measureVerify reads everything that is stored and checks it.
func measureVerify(ctx context.Context, s *suite, section *report.Section) error {
	section.Title = "verify: full verification"
	section.About = s.aboutShop() + " All read the same backup back, so rates compare as wall times do. DataGuardian also reads the dump with pg_restore --list."
	section.Commands = []string{"restic check --read-data                           # restic", "kopia snapshot verify --verify-files-percent=100   # kopia",
		`POST /api/executions/{id}/verify {"mode": "full"}  # DataGuardian`}
	restic, kopia := s.rivalReads(func(ctx context.Context, from snapshot) (measure.Run, error) { return from.repository.Verify(ctx) })
	guardian := contestant{series: &measure.Series{Name: nameDataGuardian}, run: func(ctx context.Context) (measure.Run, error) {
		return s.stored.job.Verify(ctx, s.stored.backup.ID)
	}}
	return comparison{
		prepare:     s.makeStored,
		contestants: []contestant{restic, kopia, guardian},
		bases:       []*measure.Series{restic.series, kopia.series},
		limits: func() []report.Limit {
			return []report.Limit{report.RateRatio(guardian.series, restic.series, 1.5), report.PeakRSS(guardian.series, maxRSS)}
		},
	}.run(ctx, s, section)
}
