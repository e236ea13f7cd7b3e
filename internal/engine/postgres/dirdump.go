package postgres

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// lookEvery is how often the sizes of growing files are looked at.
const lookEvery = 10 * time.Millisecond

// dirDump is one run of pg_dump with several jobs, which writes a directory: toc.dat, and a file for
// each table. Every file above smallFile becomes a stream while it grows; the small ones are
// collected and become streams of tar archives. When more than bound bytes wait to be read, pg_dump
// is paused.
type dirDump struct {
	dir    string
	jobs   int
	bound  int64
	toc    engine.Stream // as a template of the others too
	sink   engine.Sink
	meter  process.Meter
	names  map[string]bool // of every file that was seen
	open   map[string]*growing
	queue  []*growing // large files that wait for a slot
	small  []*growing // complete ones
	large  []*growing // those that are, or will be, read
	slots  chan struct{}
	paused bool
	pauses int
	bundle int

	tocFiles []string
	streams  *errgroup.Group
	ctx      context.Context //nolint:containedctx // of the streams, lives as long as one dump
}

// dumpDirectory dumps with several jobs.
func (e *Engine) dumpDirectory(ctx context.Context, dumper tool, src engine.Source, opts engine.DumpOptions, describe describer, sink engine.Sink) (string, error) {
	stream, err := describe(ctx)
	if err != nil {
		return "", err
	}
	env, err := newToolEnv(src, src.Config.Database)
	if err != nil {
		return "", err
	}
	defer env.remove()
	d := &dirDump{
		dir: filepath.Join(env.dir.Path, "dump"), jobs: opts.Jobs, bound: e.scratch, toc: stream, sink: sink,
		names: map[string]bool{}, open: map[string]*growing{}, slots: make(chan struct{}, opts.Jobs+1),
	}
	d.toc.Name, d.toc.Format = tocName, DirectoryFormat
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		return "", tempFailure(err)
	}
	args := append([]string{"--format=directory", "--jobs=" + strconv.Itoa(opts.Jobs), "--file=" + d.dir}, dumpArgs(opts)...)
	if dumper.major >= 10 {
		args = append(args, "--no-sync")
	}
	return d.run(ctx, process.Command{
		Path: dumper.path, Args: args, Env: env.vars, IdleTimeout: opts.IdleTimeout, Meter: &d.meter, Secrets: []string{src.Config.Password},
	})
}

// run ends with nil only if pg_dump did, wrote all that its table of contents names, and every
// stream was stored. The error is pg_dump's own if it failed.
func (d *dirDump) run(outer context.Context, c process.Command) (stderr string, err error) {
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	watch, err := newWatch(d.dir)
	if err != nil {
		return "", err
	}
	defer watch.close()
	p, err := process.Start(ctx, c)
	if err != nil {
		return "", err
	}
	d.streams, d.ctx = errgroup.WithContext(ctx)
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = p.Wait()
	}()
	followErr := d.follow(watch, p, exited)
	if followErr != nil {
		cancel(followErr)
	}
	childErr := p.Wait()
	if childErr != nil {
		cancel(childErr)
	} else if followErr == nil {
		followErr = d.rest()
	}
	streamErr := d.streams.Wait()
	d.removeAll()
	switch {
	case errors.Is(followErr, errStreamsEnded) && outer.Err() != nil:
		if childErr == nil { // it ended well at that very moment, and what it left was not stored
			childErr = context.Cause(outer)
		}
		return p.Stderr(), childErr
	case errors.Is(followErr, errStreamsEnded) && streamErr != nil:
		return p.Stderr(), streamErr
	case followErr != nil:
		return p.Stderr(), followErr
	case childErr != nil:
		return p.Stderr(), childErr
	case streamErr != nil:
		return p.Stderr(), streamErr
	}
	return p.Stderr(), d.complete()
}

var errStreamsEnded = errors.New("a stream could not be stored")

// follow looks after the files until pg_dump has ended.
func (d *dirDump) follow(watch *watch, p *process.Process, exited <-chan struct{}) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		var err error
		select {
		case event := <-watch.events:
			err = d.take(event)
		case <-ticker.C:
			d.look()
			d.throttle(p)
		case <-d.ctx.Done():
			err = errStreamsEnded
		case <-exited:
			return nil
		}
		if err != nil {
			return err
		}
		d.startQueued()
	}
}

// take acts on what became of a file.
func (d *dirDump) take(event fileEvent) error {
	if !event.closed {
		return d.meet(event.name)
	}
	// More large objects may be added to their list; it is complete when pg_dump has ended.
	if g := d.open[event.name]; g != nil && !isList(event.name) {
		d.settle(g)
	}
	return nil
}

// meet notes a file that is new.
func (d *dirDump) meet(name string) error {
	if d.names[name] {
		return nil
	}
	g, err := openGrowing(d.dir, name, &d.meter)
	if err != nil {
		return err
	}
	d.names[name] = true
	d.open[name] = g
	return nil
}

// settle decides what becomes of a file that grows no more.
func (d *dirDump) settle(g *growing) {
	g.finish()
	delete(d.open, g.name)
	switch {
	case g.name == tocName:
		d.inSlot(func() error { return d.storeTOC(g) })
	case slices.Contains(d.large, g):
	case g.size.Load() > smallFile:
		d.enqueue(g)
	default:
		d.small = append(d.small, g)
		d.flushSmall(min(bundleBytes, d.bound/4))
	}
}

func (d *dirDump) enqueue(g *growing) {
	d.large = append(d.large, g)
	d.queue = append(d.queue, g)
}

// look finds the files that have become large.
func (d *dirDump) look() {
	for name, g := range d.open {
		if g.look() > smallFile && name != tocName && !isList(name) && !slices.Contains(d.large, g) {
			d.enqueue(g)
		}
	}
}

// throttle pauses pg_dump when it is too far ahead of the archive, and lets it go on when that has
// caught up. Only what is being read counts: the rest is bounded, and would not get less by waiting.
func (d *dirDump) throttle(p *process.Process) {
	var unread int64
	kept := d.large[:0]
	for _, g := range d.large {
		if left := g.unread(); left > 0 || !g.closed.Load() {
			unread += left
			kept = append(kept, g)
		}
	}
	d.large = kept
	switch {
	case !d.paused && unread > d.bound:
		d.paused = true
		d.pauses++
		p.Pause()
	case d.paused && unread <= d.bound/2:
		d.paused = false
		p.Resume()
	}
}

// startQueued starts to read queued files while there are slots. There is one more than pg_dump has
// jobs, so that a complete file never waits for one that can not go on.
func (d *dirDump) startQueued() {
	for len(d.queue) > 0 {
		select {
		case d.slots <- struct{}{}:
		default:
			return
		}
		g := d.queue[0]
		d.queue = d.queue[1:]
		d.streams.Go(func() error {
			defer func() { <-d.slots }()
			return d.store(g)
		})
	}
}

// inSlot runs something that is short, or complete, when a slot is free.
func (d *dirDump) inSlot(store func() error) {
	d.streams.Go(func() error {
		select {
		case d.slots <- struct{}{}:
		case <-d.ctx.Done():
			return context.Cause(d.ctx)
		}
		defer func() { <-d.slots }()
		return store()
	})
}

func (d *dirDump) store(g *growing) error {
	defer g.remove()
	stream := engine.Stream{Name: g.name, Format: DirectoryFormat, Properties: map[string]string{}}
	g.ofRows = func(file string, rows int64) { engine.SetRows(stream.Properties, map[string]int64{file: rows}) }
	return d.sink(d.ctx, stream, g.reader(d.ctx))
}

// rest stores what is left when pg_dump has ended well.
func (d *dirDump) rest() error {
	entries, err := os.ReadDir(d.dir) // events may have been lost
	if err != nil {
		return tempFailure(err)
	}
	for _, entry := range entries {
		if err := d.meet(entry.Name()); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.open)) {
		d.settle(d.open[name])
	}
	if !d.names[tocName] {
		return failure.New(failure.Corrupt, "dump", "pg_dump wrote no table of contents", "")
	}
	d.flushSmall(0)
	for _, g := range d.queue {
		d.inSlot(func() error { return d.store(g) })
	}
	d.queue = nil
	return nil
}

// removeAll closes what a failed dump left.
func (d *dirDump) removeAll() {
	for _, list := range [][]*growing{d.queue, d.small, slices.Collect(maps.Values(d.open))} {
		for _, g := range list {
			g.remove()
		}
	}
}

// complete compares the files with the table of contents.
func (d *dirDump) complete() error {
	for _, file := range d.tocFiles {
		if !d.names[file] {
			return failure.New(failure.Corrupt, "dump", "pg_dump wrote no "+file+", which its table of contents names", "")
		}
	}
	return nil
}

// isList says whether a file lists large objects.
func isList(name string) bool {
	return strings.HasPrefix(name, "blobs") && strings.HasSuffix(name, ".toc")
}
