package databases

import (
	"context"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// RestoreGlobals puts the roles or accounts of a backup back before its databases, which are theirs. tell is told of
// each. Errors: Unsupported for an engine that has none, NotFound for a backup without any.
func (e *Engine) RestoreGlobals(ctx context.Context, target engine.Source, streams []engine.Stream, open engine.Opener, tell func(done bool, what string)) error {
	const op = "restore the roles and accounts of the server"
	restorer, ok := e.one.(engine.GlobalsRestorer)
	if !ok {
		return failure.New(failure.Unsupported, op, "a "+string(e.Type())+" backup has none", "Leave restore_globals out.")
	}
	for _, s := range streams {
		name, is := strings.CutPrefix(s.Name, globalsPrefix)
		if !is {
			continue
		}
		content, err := open(ctx, s.Name, 0)
		if err != nil {
			return failure.Wrap(failure.ClassOf(err), op, err, "")
		}
		s.Name = name
		err = restorer.RestoreGlobals(ctx, in(target, ""), s, content, tell)
		_ = content.Close() // it was read
		return err
	}
	return failure.New(failure.NotFound, op, "the backup has none", "Leave restore_globals out.")
}
