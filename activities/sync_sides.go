package activities

import (
	"context"
	"fmt"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
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
	from := domain.AddressOf(s.from.Type, s.from.Config, s.from.Pool)
	if from.Overlaps(domain.AddressOf(s.into.Type, s.into.Config, s.into.Pool)) {
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

func sameDatabase(s syncSides) error {
	return failure.New(failure.ConfigInvalid, "check both sides of the sync",
		fmt.Sprintf("datasources %q and %q are the same database", s.from.Name, s.into.Name), "Give the sync job another target.")
}

// identify connects to a datasource, and asks what it is where its engine can tell: two names may be of one
// server. One that may be missing has no identity then.
func (a *Activities) identify(ctx context.Context, d db.Datasource, mayBeMissing bool) (identity string, err error) {
	e, err := a.engineFor(d.Type)
	if err != nil {
		return "", failure.WithSubject(err, aboutDatasource(d.Name))
	}
	err = a.reach(ctx, d, func(src engine.Source) error {
		if _, err := e.Probe(ctx, src); err != nil {
			return err
		}
		if identifier, ok := e.(engine.Identifier); ok && d.Config.Databases == nil {
			identity, err = identifier.Identity(ctx, src)
		}
		return err
	})
	if mayBeMissing && failure.ClassOf(err) == failure.NotFound {
		return "", nil
	}
	return identity, failure.WithSubject(err, aboutDatasource(d.Name))
}
