package main

import (
	"context"
	"path/filepath"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/integration/bench/platform"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// stored is one backup of the shop by everybody, for the cases that read it.
type stored struct {
	job           *platform.Job
	backup        platform.Backup
	identity      string // file
	restic, kopia snapshot
}

// snapshot is a rival's backup, or the reason why there is none.
type snapshot struct {
	repository  repository
	id, missing string
}

// makeStored makes the shop and everybody's backup once.
func (s *suite) makeStored(ctx context.Context) (err error) {
	if s.stored != nil {
		return nil
	}
	if err := s.makeShop(ctx); err != nil {
		return err
	}
	say("backups to read")
	address, made := s.server.Address(shopName), stored{}
	if made.job, err = s.platform.Job(ctx, s.fresh(shopName), address, domain.BackupOptions{}); err != nil {
		return err
	}
	if _, made.backup, err = made.job.BackUp(ctx); err != nil {
		return err
	}
	if made.identity, err = s.platform.Identity(ctx); err != nil {
		return err
	}
	made.restic = s.snapshot(ctx, nameRestic, s.restic, s.openRestic)
	made.kopia = s.snapshot(ctx, nameKopia, s.kopia, s.openKopia)
	s.stored = &made
	return nil
}

func (s *suite) snapshot(ctx context.Context, name string, p peer, open opener) snapshot {
	if p.missing != "" {
		return snapshot{missing: p.missing}
	}
	into, err := open(ctx, filepath.Join(s.dir, s.fresh(name)))
	if err != nil {
		return snapshot{missing: err.Error()}
	}
	address := s.server.Address(shopName)
	_, id, err := into.BackUp(ctx, s.server.Tools.Dump(address), address.Environment())
	if err != nil {
		return snapshot{missing: err.Error()}
	}
	return snapshot{repository: into, id: id}
}

// rivalReads lets both rivals do something with their snapshots.
func (s *suite) rivalReads(do func(ctx context.Context, from snapshot) (measure.Run, error)) (restic, kopia contestant) {
	make := func(name string, from func() snapshot) contestant {
		c := contestant{series: &measure.Series{Name: name}, rival: true}
		c.run = func(ctx context.Context) (measure.Run, error) { return do(ctx, from()) }
		c.ready = func(context.Context) error {
			if why := from().missing; why != "" {
				return notMade(why)
			}
			return nil
		}
		return c
	}
	return make(nameRestic, func() snapshot { return s.stored.restic }), make(nameKopia, func() snapshot { return s.stored.kopia })
}

// notMade is why a rival has no backup to read.
type notMade string

// Error is the reason.
func (n notMade) Error() string { return string(n) }
