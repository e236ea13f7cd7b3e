package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/dataguardian/dataguardian/integration/bench/database"
	"github.com/dataguardian/dataguardian/integration/bench/platform"
	"github.com/dataguardian/dataguardian/integration/bench/report"
	"github.com/dataguardian/dataguardian/integration/bench/rival"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// suite is what the cases share.
type suite struct {
	options
	dir       string
	load      string
	self      string // this program: it is also the bare pipeline
	recipient string // of the shell pipeline; its key is thrown away
	server    *database.Server
	versions  []string
	platform  *platform.Platform
	restic    peer
	kopia     peer
	gateway   peer // the S3 server, once a case needed it

	shop   *database.Shop // once a case needed it
	stored *stored        // once a case needed it
	tree   tree           // once a case needed it
	serial int
	trash  []string // directories that the running case leaves
}

// peer is a built program, or the reason why there is none.
type peer struct{ program, missing string }

func newSuite(ctx context.Context, o options) (_ *suite, err error) {
	s := &suite{options: o, load: report.Load()}
	if s.dir, err = os.MkdirTemp(o.workDir, "dataguardian-bench-"); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	// As root, Postgres runs as another user, who must get in.
	if err := os.Chmod(s.dir, 0o711); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if s.self, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("bench: make an age key: %w", err)
	}
	s.recipient = identity.Recipient().String()
	s.restic, s.kopia = peer{missing: "not needed"}, peer{missing: "not needed"}
	if o.cases != schedulesCase {
		s.restic = s.build(ctx, rival.Module, rival.ResticPackage)
		s.kopia = s.build(ctx, rival.Module, rival.KopiaPackage)
	}
	say("starting Postgres and %s", o.binary)
	if s.server, err = database.Start(ctx, filepath.Join(s.dir, "postgres")); err != nil {
		return nil, err
	}
	if s.versions, err = s.server.Versions(ctx); err != nil {
		return nil, err
	}
	s.platform, err = platform.Start(ctx, o.binary, s.dir, s.server.BinDir())
	return s, err
}

// build makes a peer's program; a peer that can not be built is not measured, and the report says why.
func (s *suite) build(ctx context.Context, module, mainPackage string) peer {
	say("building %s", mainPackage)
	program, err := rival.Build(ctx, module, s.peersDir, mainPackage)
	if err != nil {
		say("%v", err)
		return peer{missing: err.Error()}
	}
	return peer{program: program}
}

// close ends all processes and removes all data.
func (s *suite) close() error {
	var problems []error
	if s.platform != nil {
		problems = append(problems, s.platform.Stop())
	}
	if s.server != nil {
		problems = append(problems, s.server.Stop())
	}
	return errors.Join(append(problems, os.RemoveAll(s.dir))...)
}

func (s *suite) page(command string) report.Page {
	versions := append([]string{}, s.versions...)
	for _, built := range []struct {
		name string
		peer peer
	}{{"restic 0.18.0", s.restic}, {"kopia 0.22.3", s.kopia}} {
		if built.peer.missing != "" {
			built.name += " (could not be built)"
		}
		versions = append(versions, built.name)
	}
	return report.Page{Command: command, Machine: report.Machine(), Load: s.load, Versions: versions, Repetitions: s.repetitions}
}

const shopName = "shop"

// makeShop makes the shop database once.
func (s *suite) makeShop(ctx context.Context) (err error) {
	if s.shop != nil {
		return nil
	}
	say("filling database %s with %s", shopName, s.size.String())
	shop, err := s.server.Shop(ctx, shopName, int64(s.size))
	if err == nil {
		s.shop = shop
	}
	return err
}

// fresh names a directory, or a job, that was not used before.
func (s *suite) fresh(name string) string {
	s.serial++
	return fmt.Sprintf("%s-%d", name, s.serial)
}

// freshDir is a directory that is removed when the case ends.
func (s *suite) freshDir(name string) string {
	dir := filepath.Join(s.dir, s.fresh(name))
	s.trash = append(s.trash, dir)
	return dir
}

// job makes a backup job whose storage is removed when the case ends.
func (s *suite) job(ctx context.Context, address database.Address, options domain.BackupOptions) (*platform.Job, error) {
	job, err := s.platform.Job(ctx, s.fresh(address.Name), address, options)
	if err == nil {
		s.trash = append(s.trash, job.Dir())
	}
	return job, err
}

// sweep removes what a case stored: all cases together would need a large disk.
func (s *suite) sweep() error {
	var problems []error
	for _, dir := range append(s.trash, s.shellFile(), s.diskFile()) {
		problems = append(problems, os.RemoveAll(dir))
	}
	s.trash = nil
	return errors.Join(problems...)
}
