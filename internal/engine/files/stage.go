package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Stage restores beside the target, or inside it when only some paths are restored into a directory that
// is there. What it made is removed when it fails.
func (e *Engine) Stage(ctx context.Context, _ engine.Source, req engine.StageRequest, open engine.Opener) (engine.StageReport, error) {
	n, err := e.namesOf(req)
	if err != nil {
		return engine.StageReport{}, err
	}
	if len(req.IncludeTables) > 0 {
		return engine.StageReport{}, failure.New(failure.Unsupported, "restore files", "include_tables is for databases", "Use include_paths.")
	}
	if err := (*Engine)(nil).CheckStreams(req.Streams); err != nil {
		return engine.StageReport{}, err
	}
	staging := n.beside
	if !req.Scratch {
		if err := n.check(req); err != nil {
			return engine.StageReport{}, err
		}
		if info, err := os.Lstat(n.target); err == nil && info.IsDir() && len(req.IncludePaths) > 0 {
			staging = n.inside
		}
	}
	if err := n.discard(); err != nil {
		return engine.StageReport{}, err
	}
	return stageInto(ctx, n, staging, req, open)
}

// stageInto makes the staging, and removes it again if it fails: its own only, because an attempt that was given
// up may come back when the next one has made another of the same name.
func stageInto(ctx context.Context, n names, staging string, req engine.StageRequest, open engine.Opener) (engine.StageReport, error) {
	chosen, err := readChosen(ctx, req, open)
	if err != nil {
		return engine.StageReport{}, err
	}
	if err := os.Mkdir(staging, 0o700); err != nil {
		return engine.StageReport{}, classify("make the directory "+staging, err)
	}
	made, err := inodeOf(staging)
	if err != nil {
		return engine.StageReport{}, classify("look at "+staging, err)
	}
	report, err := fillStaging(ctx, n, staging, req, chosen, open)
	if err == nil {
		return report, nil
	}
	if now, lost := inodeOf(staging); lost == nil && now == made {
		err = errors.Join(err, n.discard())
	}
	return engine.StageReport{}, err
}

func fillStaging(ctx context.Context, n names, staging string, req engine.StageRequest, chosen *chosen, open engine.Opener) (engine.StageReport, error) {
	if err := n.markBegun(staging); err != nil {
		return engine.StageReport{}, err
	}
	root, err := os.Open(staging) //nolint:gosec // just made
	if err != nil {
		return engine.StageReport{}, classify("open "+staging, err)
	}
	defer func() { _ = root.Close() }()
	x := newExtraction(root, chosen, max(2, req.Jobs))
	if err := x.run(ctx, open); err != nil {
		return engine.StageReport{}, err
	}
	if req.Scratch {
		if err := x.compare(); err != nil {
			return engine.StageReport{}, err
		}
	} else if err := unix.Syncfs(int(root.Fd())); err != nil { // once for all: what is swapped in survives a power cut
		return engine.StageReport{}, classify("make the restored files durable", err)
	}
	if err := n.mark(staging); err != nil {
		return engine.StageReport{}, err
	}
	return engine.StageReport{Staging: staging, Tables: x.count, Warnings: x.warnings.all()}, nil
}

// chosen is what is restored, with where it is.
type chosen struct {
	entries []*entry // in the order of the index; name is the whole path
	packs   []pack
	all     bool
}

// readChosen reads the index and picks what is wanted, and the directories above it.
func readChosen(ctx context.Context, req engine.StageRequest, open engine.Opener) (*chosen, error) {
	paths, err := chosenPaths(req.IncludePaths)
	if err != nil {
		return nil, err
	}
	c := &chosen{all: len(paths) == 0}
	found := map[string]bool{}
	missing := map[string][]*entry{} // first names that were not chosen, by path
	wanted := map[string]bool{}
	dirs := map[string]bool{".": true}
	err = eachEntry(ctx, open, c, func(e *entry) error {
		parent := "."
		if i := strings.LastIndexByte(e.name, '/'); i >= 0 {
			parent = e.name[:i]
		}
		if !dirs[parent] { // a writer lists every directory: whatever is below something else is an attack
			return failure.New(failure.Corrupt, "read the index of files", printable(e.name)+" is in no directory of the backup", "Use another backup.")
		}
		if e.kind == kindGone {
			return nil
		}
		if e.kind == kindDir {
			dirs[e.name] = true
		}
		if !c.all && !picks(paths, e, found) {
			return nil
		}
		if !c.all && e.kind == kindHardlink && !wanted[e.link] {
			missing[e.link] = append(missing[e.link], e)
		}
		if !c.all && e.kind == kindFile {
			wanted[e.name] = true
		}
		c.entries = append(c.entries, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if !found[path] {
			return nil, failure.New(failure.NotFound, "choose what is restored", "the backup has no "+printable(path), "Browse the backup's files for the right path.")
		}
	}
	if len(missing) > 0 {
		return c, c.resolve(ctx, open, missing)
	}
	return c, nil
}

// picks reports whether an entry is one of the paths, below one, or a directory above one.
func picks(paths []string, e *entry, found map[string]bool) bool {
	yes := e.name == "."
	for _, path := range paths {
		switch {
		case e.name == path:
			found[path], yes = true, true
		case strings.HasPrefix(e.name, path+"/"):
			yes = true
		case e.kind == kindDir && strings.HasPrefix(path, e.name+"/"):
			yes = true
		}
	}
	return yes
}

// resolve gives hard links, whose first name is not restored, the data of that.
func (c *chosen) resolve(ctx context.Context, open engine.Opener, missing map[string][]*entry) error {
	err := eachEntry(ctx, open, c, func(e *entry) error {
		links := missing[e.name]
		if len(links) == 0 || e.kind != kindFile {
			return nil
		}
		delete(missing, e.name)
		first := links[0]
		path := first.name
		*first = *e
		first.name = path
		for _, other := range links[1:] {
			other.link = path
		}
		return nil
	})
	if err == nil && len(missing) > 0 {
		err = failure.New(failure.Corrupt, "read the index of files", "a hard link is to a file that is not in the backup", "Use another backup.")
	}
	return err
}

// eachEntry reads the index to its end, and checks that every entry is in the tar.
func eachEntry(ctx context.Context, open engine.Opener, c *chosen, take func(*entry) error) error {
	stream, err := open(ctx, indexStream, 0)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	index, err := newIndexReader(stream)
	if err != nil {
		return err
	}
	for {
		e := new(entry)
		err := index.next(e)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = take(e)
		}
		if err != nil {
			return err
		}
	}
	c.packs = index.packs
	for _, e := range c.entries {
		if int(e.place.pack) >= len(c.packs) || e.place.offset+e.place.length() > c.packs[e.place.pack].bytes {
			return failure.Wrap(failure.Corrupt, "read the index of files", fmt.Errorf("%s is not in its pack", printable(e.name)), "Use another backup.")
		}
	}
	return nil
}

// offset is where the entry's headers are in the tar stream.
func (c *chosen) offset(e *entry) int64 { return c.packs[e.place.pack].offset + e.place.offset }

// byPlace are the files that have data or attributes to read, in the order of the tar stream.
func (c *chosen) byPlace() []*entry {
	var list []*entry
	for _, e := range c.entries {
		if e.kind == kindFile || e.xattrs != 0 {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b *entry) int {
		if d := c.offset(a) - c.offset(b); d != 0 {
			return int(max(-1, min(1, d)))
		}
		return 0
	})
	return list
}
