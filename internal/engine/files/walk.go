package files

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// stagingPrefix begins the names of what a restore makes beside its target. It is never backed up.
const stagingPrefix = ".dataguardian-restore-"

// walker lists a tree in the order of comparePaths.
type walker struct {
	ctx       context.Context //nolint:containedctx // of one walk
	config    domain.ConnectionConfig
	root      string
	rootDev   uint64
	selection selection
	warnings  *warnings
	ahead     *lookahead
	moved     func() // is told of each directory

	entries []*entry
	slab    []entry
	first   map[fileID]*entry // of files with several names
	links   map[*entry]*entry // hard links and the first name of each
	above   []fileID          // directories on the way down, to find loops of followed links
}

type fileID struct{ device, inode uint64 }

// walk lists the tree below the source's path. What can not be listed is warned of; only the root itself
// and errors of the disk fail the walk.
func walk(ctx context.Context, config domain.ConnectionConfig, t *tree, jobs int, warn *warnings, moved func()) (entries []*entry, links map[*entry]*entry, err error) {
	var s selection
	if s.include, err = parsePatterns("include_patterns", config.IncludePatterns); err != nil {
		return nil, nil, err
	}
	if s.exclude, err = parsePatterns("exclude_patterns", config.ExcludePatterns); err != nil {
		return nil, nil, err
	}
	w := &walker{
		ctx: ctx, config: config, root: config.SourcePath, selection: s, warnings: warn, first: map[fileID]*entry{}, links: map[*entry]*entry{},
		ahead: newLookahead(t, jobs), moved: moved,
	}
	defer w.ahead.end()
	var st unix.Stat_t
	if err := unix.Fstat(int(t.root.Fd()), &st); err != nil {
		return nil, nil, classify("look at "+w.root, err)
	}
	w.rootDev = st.Dev
	root := w.newEntry()
	root.fill(&st)
	w.entries = append(w.entries, root)
	listing := w.ahead.list(".")
	err = w.descend(listing, &directory{}, len(s.include) == 0, fileID{st.Dev, st.Ino})
	return w.entries, w.links, err
}

func (w *walker) newEntry() *entry {
	if len(w.slab) == 0 {
		w.slab = make([]entry, 256)
	}
	e := &w.slab[0]
	w.slab = w.slab[1:]
	e.place.pack = -1
	return e
}

// descend adds what a directory holds. Directories that hold nothing of what is included are taken back.
func (w *walker) descend(l *listing, dir *directory, included bool, id fileID) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	children, err := l.wait()
	w.moved()
	if err != nil {
		if dir.path == "" || !passing(err) {
			return classify("read directory "+w.root+"/"+dir.path, err)
		}
		w.warnings.add(dir.path, "the directory could not be read, what is in it is not in the backup: %v", cause(err))
		return nil
	}
	w.above = append(w.above, id)
	defer func() { w.above = w.above[:len(w.above)-1] }()
	below := w.startBelow(children, dir)
	for i := range children {
		if err := w.visit(&children[i], dir, included, below[i]); err != nil {
			return err
		}
	}
	return nil
}

// startBelow begins to list the directories in a directory, ahead of their turn.
func (w *walker) startBelow(children []child, dir *directory) []*listing {
	below := make([]*listing, len(children))
	for i := range children {
		c := &children[i]
		path := dir.path + c.name
		if c.err == nil && c.stat.Mode&unix.S_IFMT == unix.S_IFDIR && !w.leftOut(path, c.name, true) &&
			!(w.config.OneFileSystem && c.stat.Dev != w.rootDev) {
			below[i] = w.ahead.list(path)
		}
	}
	return below
}

func (w *walker) leftOut(path, name string, dir bool) bool {
	return strings.HasPrefix(name, stagingPrefix) || w.selection.excluded(path, name, dir)
}

func (w *walker) visit(c *child, dir *directory, parentIncluded bool, below *listing) error {
	path := dir.path + c.name
	isDir := c.stat.Mode&unix.S_IFMT == unix.S_IFDIR
	if w.leftOut(path, c.name, isDir) {
		return nil
	}
	if c.err != nil {
		if !passing(c.err) {
			return classify("look at "+w.root+"/"+path, c.err)
		}
		if !errors.Is(c.err, unix.ENOENT) { // it was removed since it was listed: that is no news
			w.warnings.add(path, "it could not be looked at and is not in the backup: %v", c.err)
		}
		return nil
	}
	included := w.selection.included(path, c.name, isDir, parentIncluded)
	if !isDir && !included {
		return nil
	}
	e := w.newEntry()
	e.dir, e.name, e.link = dir, c.name, c.link
	e.fill(&c.stat)
	switch e.kind {
	case 0:
		w.warnings.add(path, "it is a %s and not in the backup", special(c.stat.Mode))
		return nil
	case kindFile:
		w.linkNames(e, &c.stat)
	case kindDir:
		return w.enter(e, path, included, below)
	}
	w.entries = append(w.entries, e)
	return nil
}

// linkNames makes a hard link of every name of a file but the first.
func (w *walker) linkNames(e *entry, st *unix.Stat_t) {
	if st.Nlink < 2 {
		return
	}
	id := fileID{st.Dev, st.Ino}
	if first, known := w.first[id]; known {
		e.kind, e.link, e.size = kindHardlink, first.path(), 0
		w.links[e] = first
		return
	}
	w.first[id] = e
}

func (w *walker) enter(e *entry, path string, included bool, below *listing) error {
	id := fileID{e.device, e.inode}
	if slices.Contains(w.above, id) {
		w.warnings.add(path, "the symbolic link leads back to a directory above it and is not followed")
		return nil
	}
	at := len(w.entries)
	w.entries = append(w.entries, e)
	if below == nil { // another file system
		if !included {
			w.entries = w.entries[:at]
		}
		return nil
	}
	if err := w.descend(below, &directory{path: path + "/"}, included, id); err != nil {
		return err
	}
	if !included && len(w.entries) == at+1 {
		w.entries = w.entries[:at]
	}
	return nil
}

func special(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFIFO:
		return "named pipe"
	case unix.S_IFSOCK:
		return "socket"
	default:
		return "device"
	}
}

// passing reports whether an error concerns one file, which is warned of: rights, and files that vanish
// or move. Anything else, such as an error of the disk, fails the dump.
func passing(err error) bool {
	for _, known := range []error{unix.ENOENT, unix.EACCES, unix.EPERM, unix.ENOTDIR, unix.ELOOP, unix.ESTALE, unix.ENXIO, unix.ENAMETOOLONG} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// cause is an error without the path, which the message has already.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
