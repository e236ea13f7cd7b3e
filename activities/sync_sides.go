package activities

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/databases"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// CheckSyncSides refuses a sync that can not end well before anything is read or written: its datasources may
// have been changed since the job was made. Both sides have to answer.
func (a *Activities) CheckSyncSides(ctx context.Context, in contract.RunRef) (contract.Nothing, error) {
	p := startPulse(ctx, a.Tuning.ProgressEvery, 0)
	defer p.stop()
	run, err := a.DB.GetRun(ctx, db.RunSync, in.RunID)
	if err != nil {
		return contract.Nothing{}, toTemporal(ctx, err)
	}
	sides, err := sidesOf(ctx, a.DB.Queries, run)
	if err != nil {
		return contract.Nothing{}, toTemporal(ctx, err)
	}
	err = a.checkSides(ctx, sides)
	if err == nil {
		err = refuseNamed(run.Metadata.Sync.SyncOptions.PostRestoreSQL, sides.into.Type, sides.into.Config.Database, sides.from.Config.Database)
	}
	if err == nil {
		err = a.checkInto(ctx, run, sides)
	}
	return contract.Nothing{}, toTemporal(ctx, err, append(sides.from.Config.SecretValues(), sides.into.Config.SecretValues()...)...)
}

func (a *Activities) checkSides(ctx context.Context, s syncSides) error {
	const op = "check both sides of the sync"
	for _, side := range []db.Datasource{s.from, s.into} {
		if !side.Enabled {
			return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("datasource %q is disabled", side.Name), "Enable it, or disable the sync job.")
		}
	}
	if !domain.SameFamily(s.from.Type, s.into.Type) {
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("a %s database can not be copied into a %s one", s.from.Type, s.into.Type), "Change the sync job.")
	}
	if addressHere(s.from).Overlaps(addressHere(s.into)) {
		return sameDatabase(s)
	}
	source, err := a.identify(ctx, s.from, false)
	if err != nil {
		return err
	}
	target, err := a.identify(ctx, s.into, true) // a database that is not there yet is made
	if err != nil {
		return err
	}
	if source != "" && source == target {
		return sameDatabase(s)
	}
	return nil
}

// checkInto refuses what the restore would refuse, before anything is dumped for it: a target that may not be replaced, or
// that another restore is writing. Both are looked at again when it comes to that.
func (a *Activities) checkInto(ctx context.Context, run db.Run, s syncSides) error {
	options := syncRestore(run, s)
	if err := a.DB.InTx(ctx, func(q *db.Queries) error { return refuseRivals(ctx, q, options, "") }); err != nil {
		return err
	}
	var chosen engine.Engine
	chosen, err := a.engineFor(s.into.Type)
	if err == nil && s.from.Config.Databases != nil {
		chosen, options.Databases, err = a.wholeServer(ctx, chosen, s.from)
	}
	if err != nil {
		return err
	}
	stager, ok := chosen.(engine.Stager)
	if !ok {
		return failure.New(failure.Unsupported, "sync", "this version can not restore into a "+string(s.into.Type)+" datasource", "")
	}
	return failure.WithSubject(a.reach(ctx, s.into, func(src engine.Source) error {
		return stager.CheckTarget(ctx, src, engine.StageRequest{
			Token: domain.ID8(run.ID), Target: options.TargetDatabase, DropExisting: options.DropExisting, Databases: options.Databases, BeforeBackup: true,
		})
	}), aboutDatasource(s.into.Name))
}

// wholeServer is the engine of a server with all its databases, and those of them that a sync copies.
func (a *Activities) wholeServer(ctx context.Context, one engine.Engine, from db.Datasource) (*databases.Engine, []string, error) {
	server, err := databases.Of(one)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	err = a.reach(ctx, from, func(src engine.Source) (err error) {
		names, err = server.Selected(ctx, src)
		return err
	})
	return server, domain.RestorableDatabases(from.Type, names), failure.WithSubject(err, aboutDatasource(from.Name))
}

// addressHere is the address of a datasource, that of a path without the links in it: only here are they seen.
func addressHere(d db.Datasource) domain.Address {
	config := d.Config
	for _, path := range []*string{&config.FilePath, &config.SourcePath} {
		if *path == "" {
			continue
		}
		if real, err := filepath.EvalSymlinks(*path); err == nil {
			*path = real
		} else if folder, err := filepath.EvalSymlinks(filepath.Dir(*path)); err == nil { // what is not there yet
			*path = filepath.Join(folder, filepath.Base(*path))
		}
	}
	return domain.AddressOf(d.Type, config, d.Pool)
}

func sameDatabase(s syncSides) error {
	ofServer := ""
	if s.from.Config.Databases != nil {
		ofServer = " server"
	}
	return failure.New(failure.ConfigInvalid, "check both sides of the sync",
		fmt.Sprintf("datasources %q and %q are the same database%s", s.from.Name, s.into.Name, ofServer), "Give the sync job another target.")
}

// identify connects to a datasource, and asks what it is where its engine can tell: two names may be of one
// server. One that may be missing has no identity then.
func (a *Activities) identify(ctx context.Context, d db.Datasource, mayBeMissing bool) (identity string, err error) {
	e, err := a.engineFor(d.Type)
	if err == nil && d.Config.Databases != nil {
		e, err = databases.Of(e)
	}
	if err != nil {
		return "", failure.WithSubject(err, aboutDatasource(d.Name))
	}
	err = a.reach(ctx, d, func(src engine.Source) error {
		if _, err := e.Probe(ctx, src); err != nil {
			return err
		}
		if identifier, ok := e.(engine.Identifier); ok {
			identity, err = identifier.Identity(ctx, src)
		}
		return err
	})
	if mayBeMissing && failure.ClassOf(err) == failure.NotFound {
		return "", nil
	}
	return identity, failure.WithSubject(err, aboutDatasource(d.Name))
}
