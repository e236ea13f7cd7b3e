package main

import (
	"context"
	"fmt"
	"os"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/integration/bench/platform"
	"github.com/dataguardian/dataguardian/integration/bench/report"
	"github.com/dataguardian/dataguardian/integration/bench/rival"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// filesCases are about a directory tree. They share one and the repositories, in this order.
func filesCases() []benchCase {
	return []benchCase{
		{name: "files", measure: measureFilesFirst},
		{name: "files", measure: measureFilesUnchanged},
		{name: "files", measure: measureFilesChanged},
		{name: "files", measure: measureFilesRestore},
	}
}

// treeRepository is what both rivals do with a tree.
type treeRepository interface {
	BackUpTree(ctx context.Context, tree string) (measure.Run, error)
}

const (
	showTar    = "tar -c tree | zstd -3 -T2 | age -r … > file; sync file         # shell pipeline"
	showTrees  = "restic backup tree                                             # restic"
	showKopias = "kopia policy set --global --compression=zstd-fastest; kopia snapshot create tree  # kopia"
)

func (s *suite) aboutTree() string {
	return fmt.Sprintf("A Go toolchain and module cache: %d files, %.2f GB, in the page cache.", s.tree.files, float64(s.tree.bytes)/1e9)
}

// treeRivals calls make for both.
func (s *suite) treeRivals(make func(series *measure.Series, dir string, open opener) contestant) []contestant {
	return s.rivals(func(series *measure.Series, open opener) contestant {
		return make(series, s.freshDir(series.Name), open)
	})
}

func openTree(ctx context.Context, open opener, dir string) (treeRepository, error) {
	opened, err := open(ctx, dir)
	if err != nil {
		return nil, err
	}
	into, ok := opened.(treeRepository)
	if !ok {
		return nil, fmt.Errorf("bench: %T backs up no trees", opened)
	}
	return into, nil
}

func (s *suite) tarPipeline() contestant {
	p := measure.Pipeline{Commands: [][]string{
		{"tar", "--create", "--directory", s.treeDir(), "."}, {s.server.Tools.Zstd, "-q", "-3", "-T2", "-c"}, {s.server.Tools.Age, "-r", s.recipient},
	}}
	return contestant{
		series: &measure.Series{Name: nameShell},
		ready:  func(context.Context) error { return os.RemoveAll(s.shellFile()) },
		run:    func(ctx context.Context) (measure.Run, error) { return p.Run(ctx, s.shellFile()) },
	}
}

func measureFilesFirst(ctx context.Context, s *suite, section *report.Section) error {
	section.Title = "files, first: first backup of a directory tree"
	section.Commands = []string{showTar, showTrees, showKopias, showBackup}
	var job *platform.Job
	shell := s.tarPipeline()
	guardian := contestant{
		series: &measure.Series{Name: nameDataGuardian},
		ready: func(ctx context.Context) (err error) {
			if job == nil {
				job, err = s.treeJob(ctx, domain.BackupOptions{})
			}
			return err
		},
		run: func(ctx context.Context) (measure.Run, error) { return backUp(ctx, job, domain.Full) },
	}
	both := s.treeRivals(func(series *measure.Series, dir string, open opener) contestant {
		var into treeRepository
		return contestant{
			series: series, rival: true,
			ready: func(ctx context.Context) (err error) {
				if err := os.RemoveAll(dir); err != nil {
					return err
				}
				into, err = openTree(ctx, open, dir)
				return err
			},
			run: func(ctx context.Context) (measure.Run, error) { return into.BackUpTree(ctx, s.treeDir()) },
		}
	})
	err := comparison{
		prepare:     s.makeTree,
		contestants: append(both, shell, guardian),
		bases:       []*measure.Series{both[0].series, both[1].series, shell.series},
		limits: func() []report.Limit {
			faster := both[1].series
			if both[0].series.Missing == "" && (faster.Missing != "" || len(faster.Runs) > 0 && len(both[0].series.Runs) > 0 && both[0].series.Median().Wall < faster.Median().Wall) {
				faster = both[0].series
			}
			return []report.Limit{report.WallRatio(guardian.series, faster, 0.75), report.PeakRSS(guardian.series, maxRSS)}
		},
	}.run(ctx, s, section)
	section.About = s.aboutTree()
	return err
}

// measureFilesAgain is a second backup by everybody, of a tree that change changed.
func measureFilesAgain(ctx context.Context, s *suite, section *report.Section, change func(ctx context.Context, round int) error) error {
	section.Commands = []string{showTrees, showKopias, `POST /api/backup-jobs/{id}/run  # DataGuardian: "backup_type": "incremental"`}
	var job *platform.Job
	guardian := contestant{
		series: &measure.Series{Name: nameDataGuardian},
		run:    func(ctx context.Context) (measure.Run, error) { return backUp(ctx, job, domain.Incremental) },
	}
	both := s.treeRivals(func(series *measure.Series, dir string, open opener) contestant {
		var into treeRepository
		return contestant{
			series: series, rival: true,
			ready: func(ctx context.Context) (err error) {
				if into != nil {
					return nil
				}
				if into, err = openTree(ctx, open, dir); err != nil {
					return err
				}
				_, err = into.BackUpTree(ctx, s.treeDir())
				return err
			},
			run: func(ctx context.Context) (measure.Run, error) { return into.BackUpTree(ctx, s.treeDir()) },
		}
	})
	prepare := func(ctx context.Context) (err error) {
		if err := s.makeTree(ctx); err != nil {
			return err
		}
		for _, rival := range both {
			if rival.series.Missing == "" {
				if err := rival.ready(ctx); err != nil {
					rival.series.Missing = err.Error()
				}
			}
		}
		if job, err = s.treeJob(ctx, domain.BackupOptions{BackupType: domain.Incremental, FullEvery: s.repetitions + 2}); err != nil {
			return err
		}
		_, err = backUp(ctx, job, domain.Full)
		return err
	}
	err := comparison{
		prepare: prepare, change: change,
		contestants: append(both, guardian),
		bases:       []*measure.Series{both[0].series, both[1].series},
		limits: func() []report.Limit {
			return []report.Limit{report.WallRatio(guardian.series, both[1].series, 1.0), report.PeakRSS(guardian.series, maxRSS)}
		},
	}.run(ctx, s, section)
	section.About = s.aboutTree() + " Everybody has stored the state before."
	return err
}

func measureFilesUnchanged(ctx context.Context, s *suite, section *report.Section) error {
	section.Title = "files, unchanged: backup of a tree in which nothing changed"
	return measureFilesAgain(ctx, s, section, nil)
}

func measureFilesChanged(ctx context.Context, s *suite, section *report.Section) error {
	section.Title = "files, changed: backup of a tree after 1 % of its files changed"
	return measureFilesAgain(ctx, s, section, s.changeTree)
}

func measureFilesRestore(ctx context.Context, s *suite, section *report.Section) error {
	section.Title = "files, restore: restore of a tree into a new directory"
	section.Commands = []string{"restic restore latest --target restored  # restic", `POST /api/backups/{id}/restore {"target_database": "/…/restored", …}  # DataGuardian`}
	var job *platform.Job
	var made platform.Backup
	// A new directory for each run, and nothing is removed before the end: for some seconds ext4 is slow to
	// make inodes where it has just freed many.
	var target string
	fresh := func(context.Context) error {
		target = s.freshDir("restored")
		return nil
	}
	guardian := contestant{
		series: &measure.Series{Name: nameDataGuardian}, ready: fresh,
		run: func(ctx context.Context) (measure.Run, error) { return job.Restore(ctx, made.ID, target, s.jobs) },
	}
	var into *rival.Restic
	restic := contestant{
		series: &measure.Series{Name: nameRestic, Missing: s.restic.missing}, rival: true, ready: fresh,
		run: func(ctx context.Context) (measure.Run, error) { return into.RestoreTree(ctx, target) },
	}
	dir := s.freshDir(nameRestic)
	prepare := func(ctx context.Context) (err error) {
		if err := s.makeTree(ctx); err != nil {
			return err
		}
		if restic.series.Missing == "" {
			if into, err = rival.NewRestic(ctx, s.restic.program, dir); err == nil {
				_, err = into.BackUpTree(ctx, s.treeDir())
			}
			if err != nil {
				restic.series.Missing = err.Error()
			}
		}
		if job, err = s.treeJob(ctx, domain.BackupOptions{}); err != nil {
			return err
		}
		_, made, err = job.BackUp(ctx)
		return err
	}
	err := comparison{
		prepare: prepare, contestants: []contestant{restic, guardian}, bases: []*measure.Series{restic.series},
		limits: func() []report.Limit {
			return []report.Limit{report.WallRatio(guardian.series, restic.series, 0.7), report.PeakRSS(guardian.series, maxRSS)}
		},
	}.run(ctx, s, section)
	section.About = s.aboutTree() + " DataGuardian also checks the backup end to end before its first write, makes the files durable, and swaps the directory in by name."
	return err
}
