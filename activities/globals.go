package activities

import (
	"context"
	"io"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/databases"
)

// restoreGlobals puts the roles or accounts of the backup back, if that was asked for. It comes before the databases,
// which may belong to them. What it made stays when the restore fails after it: it replaced nothing.
func (a *Activities) restoreGlobals(ctx context.Context, r *restore, src engine.Source, reader *archive.Reader, counter *byteCounter) error {
	whole, ok := r.stager.(*databases.Engine)
	if !r.options.RestoreGlobals || !ok {
		return nil
	}
	open := func(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
		return counter.open(ctx, reader, name, offset)
	}
	return whole.RestoreGlobals(ctx, src, engineStreams(r.manifest), open, func(done bool, what string) {
		level := "info"
		if !done {
			level = "warning"
		}
		a.log(ctx, r.execution.ID, level, "%s", what)
	})
}
