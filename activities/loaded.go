package activities

import (
	"context"
	"fmt"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/databases"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// loaded is a temporary database, with the streams that it was loaded from.
type loaded struct {
	name    string // in a backup of a whole server; "" else
	engine  any    // that of one database, with what it can do
	src     engine.Source
	streams []engine.Stream
}

// loadedBy are the databases that a restore has loaded: one, or those of a whole server.
func loadedBy(r *restore, src engine.Source, staging string) ([]loaded, error) {
	request := r.request()
	src.Disposable = r.options.VerificationMode
	whole, is := r.stager.(*databases.Engine)
	if !is {
		return []loaded{{engine: r.stager, src: engine.At(src, staging), streams: request.Streams}}, nil
	}
	staged, err := whole.Staged(request, staging)
	if err != nil {
		return nil, err
	}
	all := make([]loaded, len(staged))
	for i, one := range staged {
		all[i] = loaded{one.Database, whole.One(), engine.At(src, one.Staging), one.Streams}
	}
	return all, nil
}

// prefix begins what is said of one of several databases.
func (l loaded) prefix() string {
	if l.name == "" {
		return ""
	}
	return fmt.Sprintf("database %q: ", l.name)
}

func (l loaded) within(err error) error {
	if l.name == "" {
		return err
	}
	return failure.WithSubject(err, fmt.Sprintf("database %q", l.name))
}

// consistency has the server look at every page, where loading did not.
func (c *restoredChecks) consistency(ctx context.Context) error {
	for _, l := range c.loaded {
		checker, ok := l.engine.(engine.ConsistencyChecker)
		if !ok {
			continue
		}
		if err := checker.CheckConsistency(ctx, l.src); err != nil {
			return l.within(err)
		}
	}
	return nil
}
