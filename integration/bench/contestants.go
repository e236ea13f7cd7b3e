package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dataguardian/dataguardian/integration/bench/bare"
	"github.com/dataguardian/dataguardian/integration/bench/database"
	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/integration/bench/platform"
	"github.com/dataguardian/dataguardian/integration/bench/rival"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// The names of the contestants, as tables and limits show them.
const (
	nameDump         = "pg_dump alone"
	nameShell        = "shell pipeline"
	nameDisk         = "disk alone"
	nameRestic       = "restic"
	nameKopia        = "kopia"
	nameBare         = "bare pipeline"
	nameDataGuardian = "DataGuardian"
)

// The command lines that the report shows.
const (
	showDump   = "pg_dump -Fc -Z0 $DB > /dev/null                                          # pg_dump alone"
	showShell  = "pg_dump -Fc -Z0 $DB | zstd -3 -T2 | age -r … > file; sync file           # shell pipeline"
	showDisk   = "dd if=file of=copy bs=1M conv=fsync                                      # disk alone: the shell pipeline's file"
	showRestic = "pg_dump -Fc -Z0 $DB | restic backup --stdin --stdin-filename bench.dump  # restic"
	showKopia  = "kopia policy set --global --compression=zstd-fastest; pg_dump -Fc -Z0 $DB | kopia snapshot create --stdin-file=bench.dump /bench  # kopia"
	showBackup = "POST /api/backup-jobs/{id}/run                                           # DataGuardian"
)

// dump is the floor: pg_dump alone, nothing kept.
func (s *suite) dump(address database.Address) contestant {
	p := measure.Pipeline{Commands: [][]string{s.server.Tools.Dump(address)}, Environment: address.Environment()}
	return contestant{
		series: &measure.Series{Name: nameDump},
		run:    func(ctx context.Context) (measure.Run, error) { return p.Run(ctx, os.DevNull) },
	}
}

func (s *suite) shellFile() string { return filepath.Join(s.dir, "pipeline.age") }

// shell is what a careful administrator would put into cron.
func (s *suite) shell(address database.Address) contestant {
	p := measure.Pipeline{
		Commands: [][]string{
			s.server.Tools.Dump(address), {s.server.Tools.Zstd, "-q", "-3", "-T2", "-c"}, {s.server.Tools.Age, "-r", s.recipient},
		},
		Environment: address.Environment(),
	}
	return contestant{
		series: &measure.Series{Name: nameShell},
		ready:  func(context.Context) error { return os.RemoveAll(s.shellFile()) },
		run:    func(ctx context.Context) (measure.Run, error) { return p.Run(ctx, s.shellFile()) },
	}
}

func (s *suite) diskFile() string { return filepath.Join(s.dir, "disk.copy") }

// disk writes what the shell pipeline stored, which it must follow.
func (s *suite) disk() contestant {
	target := s.diskFile()
	p := measure.Pipeline{Commands: [][]string{{s.server.Tools.DD, "if=" + s.shellFile(), "of=" + target, "bs=1M", "conv=fsync", "status=none"}}}
	return contestant{
		series: &measure.Series{Name: nameDisk},
		ready:  func(context.Context) error { return os.RemoveAll(target) },
		run:    func(ctx context.Context) (measure.Run, error) { return p.Run(ctx, os.DevNull) },
	}
}

// bare is DataGuardian's pipeline without what is around it.
func (s *suite) bare(address database.Address) contestant {
	dir := filepath.Join(s.dir, "bare")
	command := append([]string{s.self}, bare.Arguments(dir, s.server.BinDir(), address.Host, address.Port, address.User, address.Name)...)
	p := measure.Pipeline{Commands: [][]string{command}, Environment: address.Environment()}
	return contestant{
		series: &measure.Series{Name: nameBare},
		ready:  func(context.Context) error { return os.RemoveAll(dir) },
		run: func(ctx context.Context) (measure.Run, error) {
			r, err := p.Run(ctx, os.DevNull)
			if err != nil {
				return r, err
			}
			files, err := measure.Files(dir)
			r.Stored = measure.Grown(nil, files)
			return r, err
		},
	}
}

// repository is what the two rivals have in common.
type repository interface {
	BackUp(ctx context.Context, dump, environment []string) (measure.Run, string, error)
	Read(ctx context.Context, backup string) (measure.Run, error)
	Verify(ctx context.Context) (measure.Run, error)
}

// opener makes an empty repository of a rival.
type opener func(ctx context.Context, dir string) (repository, error)

func (s *suite) openRestic(ctx context.Context, dir string) (repository, error) {
	return rival.NewRestic(ctx, s.restic.program, dir)
}

func (s *suite) openKopia(ctx context.Context, dir string) (repository, error) {
	return rival.NewKopia(ctx, s.kopia.program, dir)
}

// rivals calls make for both.
func (s *suite) rivals(make func(series *measure.Series, open opener) contestant) []contestant {
	return []contestant{
		make(&measure.Series{Name: nameRestic, Missing: s.restic.missing}, s.openRestic),
		make(&measure.Series{Name: nameKopia, Missing: s.kopia.missing}, s.openKopia),
	}
}

// firstBackups are the rivals' backups into repositories that are made anew each time.
func (s *suite) firstBackups(address database.Address) []contestant {
	return s.rivals(func(series *measure.Series, open opener) contestant {
		dir := s.freshDir(series.Name)
		var into repository
		return contestant{
			series: series, rival: true,
			ready: func(ctx context.Context) (err error) {
				if err := os.RemoveAll(dir); err != nil {
					return err
				}
				into, err = open(ctx, dir)
				return err
			},
			run: func(ctx context.Context) (measure.Run, error) {
				r, _, err := into.BackUp(ctx, s.server.Tools.Dump(address), address.Environment())
				return r, err
			},
		}
	})
}

// guardian backs address up with a job of its own that is made before its first run; want is the
// type of backup that every run has to make.
func (s *suite) guardian(address database.Address, want domain.BackupType) contestant {
	var job *platform.Job
	return contestant{
		series: &measure.Series{Name: nameDataGuardian},
		ready: func(ctx context.Context) (err error) {
			if job == nil {
				job, err = s.job(ctx, address, domain.BackupOptions{BackupType: want})
			}
			return err
		},
		run: func(ctx context.Context) (measure.Run, error) { return backUp(ctx, job, want) },
	}
}

func backUp(ctx context.Context, job *platform.Job, want domain.BackupType) (measure.Run, error) {
	r, made, err := job.BackUp(ctx)
	if err == nil && made.Type != want {
		err = fmt.Errorf("the backup is %s, not %s", made.Type, want)
	}
	return r, err
}
