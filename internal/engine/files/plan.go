package files

import (
	"context"
	"errors"
	"io"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// plan is what of the base a backup names again, and what it has to read.
type plan struct {
	kept    []engine.Range // of the base's tar stream, in order
	packs   []pack         // of the new stream so far: one for each of these
	pending []*entry       // files and symlinks to read
	links   []*entry
	dirs    []*entry
}

// comparison finds out which packs of the base can stand in a new stream as they are.
//
// Extracting a tar in order, later versions replace earlier ones. So a pack may stay when some of its
// files have changed: their new versions come behind it. It may not when a file that it holds, in
// whatever version, is gone or something else now: tar would bring it back.
type comparison struct {
	base    []pack
	broken  []bool
	live    []int64 // bytes of a pack that are current
	changed map[*entry]int32
}

// makePlan compares a tree with the base. Without a base, or with one that this version can not read,
// everything is read.
func makePlan(ctx context.Context, entries []*entry, base *engine.Base, warn *warnings) (*plan, error) {
	p := &plan{}
	if base != nil {
		c := &comparison{changed: map[*entry]int32{}}
		err := c.compare(ctx, entries, base)
		switch class := failure.ClassOf(err); {
		case err == nil:
			if err := p.keep(ctx, entries, c, base); err != nil {
				return nil, err
			}
		case class == failure.Corrupt || class == failure.Unsupported || class == failure.NotFound:
			warn.add(".", "everything was read again, because the index of the backup that this one builds on can not be used: %v", err)
			forget(entries)
		default:
			return nil, err
		}
	}
	for _, e := range entries {
		switch {
		case e.kind == kindDir:
			p.dirs = append(p.dirs, e)
		case e.kind == kindHardlink:
			p.links = append(p.links, e)
		case e.place.pack < 0:
			p.pending = append(p.pending, e)
		}
	}
	return p, nil
}

// forget undoes a comparison.
func forget(entries []*entry) {
	for _, e := range entries {
		e.place, e.stale, e.flags, e.xattrs = place{pack: -1}, nil, 0, 0
	}
}

// compare reads the index of the base beside the entries, both of which are in order.
func (c *comparison) compare(ctx context.Context, entries []*entry, base *engine.Base) error {
	if err := (*Engine)(nil).CheckStreams(base.Streams); err != nil {
		return err
	}
	stream, err := base.Open(ctx, indexStream, 0)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	index, err := newIndexReader(stream)
	if err != nil {
		return err
	}
	at := 0
	for {
		var old entry
		err := index.next(&old)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		var e *entry
		if old.name != "." {
			for at < len(entries) && (entries[at].dir == nil || comparePaths(entries[at].path(), old.name) < 0) {
				at++
			}
			if at < len(entries) && entries[at].path() == old.name {
				e = entries[at]
			}
		}
		c.note(e, &old)
	}
	c.base = index.packs
	if c.grow(int32(len(c.base)) - 1); len(c.broken) != len(c.base) {
		return failure.New(failure.Corrupt, "read the index of files", "an entry is in a pack that does not exist", "")
	}
	return nil
}

// grow makes room for a pack.
func (c *comparison) grow(pack int32) {
	for int(pack) >= len(c.broken) {
		c.broken, c.live = append(c.broken, false), append(c.live, 0)
	}
}

// note compares an entry of the base with what has its path now, nil for nothing.
func (c *comparison) note(e *entry, old *entry) {
	const most = 1 << 24 // packs: beyond any tar stream
	if old.place.pack > most {
		return
	}
	c.grow(old.place.pack)
	if old.kind == kindDir || old.kind == kindHardlink {
		c.broken[old.place.pack] = true // these are written anew each time
		return
	}
	holding := old.stale
	if old.kind != kindGone {
		holding = append(holding, old.place.pack)
	}
	if e == nil || e.kind != old.kind {
		for _, pack := range holding {
			if pack <= most {
				c.grow(pack)
				c.broken[pack] = true
			}
		}
		return
	}
	e.stale = old.stale
	if !e.same(old) {
		c.changed[e] = old.place.pack
		return
	}
	e.place, e.flags, e.xattrs = old.place, old.flags, old.xattrs
	c.live[old.place.pack] += old.place.length()
}

// worth reports whether a pack may stay and is not mostly made of older versions.
func (c *comparison) worth(pack int) bool {
	return !c.broken[pack] && c.live[pack] > 0 && c.live[pack] >= c.base[pack].bytes/2
}

// keep takes the packs that may stay over, and gives the entries their places in the new stream.
func (p *plan) keep(ctx context.Context, entries []*entry, c *comparison, base *engine.Base) error {
	number := make([]int32, len(c.base))
	end := int64(0)
	for i, old := range c.base {
		number[i] = -1
		if !c.worth(i) {
			continue
		}
		r := engine.Range{Stream: tarStream, Offset: old.offset, Bytes: old.bytes}
		there, err := base.Reusable(ctx, r)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		number[i] = int32(len(p.packs)) //nolint:gosec // fewer than 1<<24
		p.packs = append(p.packs, pack{offset: end, bytes: old.bytes})
		end += old.bytes
		p.kept = append(p.kept, r)
	}
	for _, e := range entries {
		if old, changed := c.changed[e]; changed {
			e.stale = append(e.stale, old)
		}
		stale := e.stale[:0]
		for _, pack := range e.stale {
			if int(pack) < len(number) && number[pack] >= 0 {
				stale = append(stale, number[pack])
			}
		}
		if e.stale = stale; len(stale) == 0 {
			e.stale = nil
		}
		if e.place.pack >= 0 {
			if e.place.pack = number[e.place.pack]; e.place.pack < 0 { // it is read again, and found anew what it is
				e.flags, e.xattrs = 0, 0
			}
		}
	}
	return nil
}
