package files

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/idle"
)

// Dump walks the tree, compares it with the base, and hands over the tar, of which the base's packs are
// named and the rest is read; then the index.
func (e *Engine) Dump(ctx context.Context, src engine.Source, opts engine.DumpOptions, sink engine.Sink) (report engine.Report, err error) {
	ctx, watch := idle.Start(ctx, opts.IdleTimeout, "read "+src.Config.SourcePath,
		"Look whether the directory's file system (a network mount?) or the storage location hangs; idle_timeout_minutes may be raised.")
	defer watch.Stop()
	var made engine.Report
	err = idle.Run(ctx, hangGrace, func() (err error) {
		made, err = dump(ctx, src, opts, watched(sink, watch), watch)
		return err
	})
	if err == nil {
		report = made
	}
	return report, err
}

// hangGrace is how long a dump that moved nothing may take to end.
const hangGrace = 10 * time.Second

// watched is a sink that says when a stream is read.
func watched(sink engine.Sink, watch *idle.Watch) engine.Sink {
	return func(ctx context.Context, s engine.Stream, r io.Reader) error {
		if segmented, is := r.(engine.Segmented); is {
			return sink(ctx, s, movingSegments{segmented, watch})
		}
		return sink(ctx, s, moving{r, watch})
	}
}

type moving struct {
	io.Reader
	watch *idle.Watch
}

func (m moving) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.watch.Moved()
	return n, err
}

type movingSegments struct {
	engine.Segmented
	watch *idle.Watch
}

func (m movingSegments) Next() (engine.Segment, error) {
	segment, err := m.Segmented.Next()
	m.watch.Moved()
	if _, pack := segment.Data.(*bytes.Reader); segment.Data != nil && !pack { // which is in memory
		segment.Data = moving{segment.Data, m.watch}
	}
	return segment, err
}

func dump(ctx context.Context, src engine.Source, opts engine.DumpOptions, sink engine.Sink, watch *idle.Watch) (engine.Report, error) {
	root, err := openRoot(src)
	if err != nil {
		return engine.Report{}, err
	}
	defer func() { _ = root.Close() }()
	warn := &warnings{}
	// One that reads, while another one waits for the disk; more where they are asked for.
	readers := min(max(2, opts.Jobs), maxReaders)
	files := &tree{root: root, path: src.Config.SourcePath, follow: src.Config.FollowSymlinks}
	entries, links, err := walk(ctx, src.Config, files, readers, warn, watch.Moved)
	if err != nil {
		return engine.Report{}, err
	}
	watch.Moved()
	plan, err := makePlan(ctx, entries, opts.Base, warn)
	if err != nil {
		return engine.Report{}, err
	}
	packs, err := storeTar(ctx, files, plan, links, readers, warn, sink)
	if err != nil {
		return engine.Report{}, err
	}
	if err := storeIndex(ctx, entries, packs, sink); err != nil {
		return engine.Report{}, err
	}
	return engine.Report{
		ServerVersion: systemVersion(int(root.Fd())), ToolVersions: map[string]string{"archive/tar": runtime.Version()}, Warnings: warn.all(),
	}, nil
}

// maxReaders bounds the memory: each may hold two packs.
const maxReaders = 8

// storeTar hands the tar over and returns its packs.
func storeTar(ctx context.Context, t *tree, p *plan, links map[*entry]*entry, readers int, warn *warnings, sink engine.Sink) ([]pack, error) {
	// One for each reader, one that waits, and one that is stored.
	memory, err := newArenas(readers + 2)
	if err != nil {
		return nil, err
	}
	defer memory.close()
	group, ctx := errgroup.WithContext(ctx)
	work := make(chan *job, readers)
	w := &tarSegments{ctx: ctx, tree: t, plan: p, targets: links, warnings: warn, queue: make(chan *job, readers), packs: p.packs, arenas: memory}
	if n := len(p.packs); n > 0 {
		w.end = p.packs[n-1].offset + p.packs[n-1].bytes
	}
	group.Go(func() error {
		defer close(w.queue)
		defer close(work)
		jobsOf(ctx, p.pending, func(j *job) bool {
			if j.large { // it is read as it is stored
				return send(ctx, w.queue, j)
			}
			// Memory is given out in the order in which it is given back, or the first could wait for the second.
			arena, err := memory.take(ctx)
			if err != nil {
				return false
			}
			j.arena = arena
			return send(ctx, w.queue, j) && send(ctx, work, j)
		})
		return nil
	})
	for range readers {
		group.Go(func() error {
			for j := range work {
				j.read(ctx, t, warn)
			}
			return nil
		})
	}
	group.Go(func() error {
		defer w.close()
		err := sink(ctx, engine.Stream{Name: tarStream, Format: tarFormat}, w)
		if err == nil && !w.ended {
			err = errors.New("the tar stream was not stored to its end")
		}
		return err
	})
	err = group.Wait()
	return w.packs, err
}

func send(ctx context.Context, to chan<- *job, j *job) bool {
	select {
	case to <- j:
		return true
	case <-ctx.Done():
		return false
	}
}

// storeIndex hands the index over as it is made.
func storeIndex(ctx context.Context, entries []*entry, packs []pack, sink engine.Sink) error {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(writeIndex(w, entries, packs)) }()
	err := sink(ctx, engine.Stream{Name: indexStream, Format: indexFormat}, r)
	_ = r.CloseWithError(errors.New("the index is not read any more"))
	return err
}

func writeIndex(to io.Writer, entries []*entry, packs []pack) error {
	w, err := newIndexWriter(to)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.kind == 0 && len(e.stale) > 0 { // it vanished, but an older version of it is there
			e.kind, e.place = kindGone, place{}
		}
		if e.kind == 0 || e.place.pack < 0 {
			continue
		}
		if err := w.add(e); err != nil {
			return err
		}
	}
	return w.finish(packs)
}
