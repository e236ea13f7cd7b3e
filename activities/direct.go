package activities

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// CopyDirectly dumps a datasource straight into the staging beside the target: what the dump tool writes is
// read by the restore tool, and nothing but a pipe is in between. A dump that fails at its very end fails the
// copy, which has not replaced anything by then.
func (a *Activities) CopyDirectly(ctx context.Context, in contract.ExecutionRef) (contract.StageResult, error) {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	r, err := a.loadTarget(ctx, in.ExecutionID)
	if err != nil {
		return contract.StageResult{}, toTemporal(ctx, err)
	}
	if r.execution.Status.Finished() {
		return contract.StageResult{}, toTemporal(ctx, fmt.Errorf("copy %s: %w", in.ExecutionID, db.ErrExecutionFinished))
	}
	from, err := a.DB.GetDatasource(ctx, r.options.SourceDatasourceID)
	if err != nil {
		return contract.StageResult{}, toTemporal(ctx, err)
	}
	c := &directCopy{a: a, r: r, from: from}
	err = c.run(ctx)
	if err == nil {
		err = a.recordStaged(ctx, r, c.staged, c.bytes.Load())
	}
	if err != nil {
		return contract.StageResult{}, toTemporal(ctx, err, append(r.secrets(), from.Config.SecretValues()...)...)
	}
	a.at("sync.copied")
	return contract.StageResult{Tables: c.staged.Tables, Bytes: c.bytes.Load(), Staging: c.staged.Staging}, nil
}

// directCopy is one try of a direct sync.
type directCopy struct {
	a      *Activities
	r      *restore
	from   db.Datasource
	total  atomic.Int64
	bytes  atomic.Int64
	loaded bool // the one stream of the dump
	staged engine.StageReport
}

func (c *directCopy) run(ctx context.Context) error {
	if !domain.SyncsDirectly(c.from.Type) || c.from.Config.Databases != nil {
		return failure.New(failure.Unsupported, "copy directly", fmt.Sprintf("datasource %q is not dumped as one stream", c.from.Name),
			"Give the sync job a storage location.")
	}
	dumper, err := c.a.engineFor(c.from.Type)
	if err != nil {
		return err
	}
	stop := c.a.report(ctx, c.r.execution.ID, c.progress)
	defer stop()
	return c.a.reach(ctx, c.from, func(src engine.Source) error {
		estimate, err := dumper.Estimate(ctx, src)
		if err != nil {
			return failure.WithSubject(err, aboutDatasource(c.from.Name))
		}
		c.total.Store(estimate.Bytes)
		return c.a.reach(ctx, c.r.target, func(target engine.Source) error { return c.through(ctx, dumper, src, target) })
	})
}

// through dumps the one into the other, and finishes the staging when the dump has ended well.
func (c *directCopy) through(ctx context.Context, dumper engine.Engine, src, target engine.Source) error {
	report, err := dumper.Dump(ctx, src, c.options(), func(ctx context.Context, s engine.Stream, r io.Reader) error {
		return failure.WithSubject(c.stage(ctx, target, s, r), aboutDatasource(c.r.target.Name))
	})
	if err == nil && !c.loaded {
		err = failure.New(failure.Unknown, "copy directly", "the dump had no stream", "")
	}
	if err != nil {
		return failure.WithSubject(err, aboutDatasource(c.from.Name))
	}
	for _, warning := range report.Warnings {
		c.a.log(ctx, c.r.execution.ID, "warning", "%s", warning)
	}
	return failure.WithSubject(c.a.finishStaging(ctx, c.r, target, c.staged), aboutDatasource(c.r.target.Name))
}

// options are those of the job, with one stream: what is loaded is read once, from its beginning.
func (c *directCopy) options() engine.DumpOptions {
	b := backup{}
	if o := c.r.execution.Metadata.Options; o != nil {
		b.options = *o
	}
	b.options.Normalize()
	options := b.dumpOptions()
	options.Jobs, options.OneStream = 1, true
	return options
}

// stage loads the stream as it comes.
func (c *directCopy) stage(ctx context.Context, target engine.Source, s engine.Stream, r io.Reader) error {
	if c.loaded {
		return failure.New(failure.Unsupported, "copy directly", "the dump has more than one stream", "Give the sync job a storage location.")
	}
	req := c.r.request()
	req.Streams = []engine.Stream{s}
	if err := c.r.stager.CheckTarget(ctx, target, req); err != nil {
		return err
	}
	source := &directStream{r: dumpReader{r}, bytes: &c.bytes}
	var err error
	c.staged, err = c.r.stager.Stage(ctx, target, req, source.open)
	if err != nil {
		return err
	}
	// What the restore tool does not ask for has to be read too: the dump says at its end whether it is whole.
	if _, err := io.Copy(io.Discard, source); err != nil {
		return err
	}
	c.loaded = true
	return nil
}

func (c *directCopy) progress() domain.Progress {
	bytes := c.bytes.Load()
	return domain.Progress{Phase: domain.PhaseLoading, Bytes: bytes, Total: max(c.total.Load(), bytes)}
}

// directStream is a dump that is being made, which can be opened once.
type directStream struct {
	r      io.Reader
	bytes  *atomic.Int64
	opened bool
}

func (d *directStream) open(_ context.Context, name string, offset int64) (io.ReadCloser, error) {
	if d.opened || offset != 0 {
		return nil, failure.New(failure.Unsupported, "read stream "+name, "a direct copy is read once, from its beginning", "Give the sync job a storage location.")
	}
	d.opened = true
	return d, nil
}

func (d *directStream) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	d.bytes.Add(int64(n))
	return n, err
}

// Close leaves the rest to be read.
func (d *directStream) Close() error { return nil }
