package ssh

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/ssh/link"
)

// listAhead is how many directories of one parent are read before their turn: over a slow line, waiting
// for each one takes longer than reading it.
const listAhead = 8

// entry is a file, or a directory with the slash that follows its name.
type entry struct {
	name    string
	size    int64
	modTime time.Time
}

func (e entry) isDir() bool { return strings.HasSuffix(e.name, "/") }

// List walks the directories that can hold the prefix. One directory is in memory at a time for each
// level, and a few to come. A directory that a broken connection interrupted is read again.
func (s *Store) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	const op = "list objects"
	if err := storage.CheckPrefix(op, prefix); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // what was read ahead for nothing
	start := "."
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		start = prefix[:i]
	}
	var stopped error // what fn returned goes back as it is
	err := s.walk(prefix, start, s.readAhead(ctx, start), func(o storage.Object) error {
		stopped = fn(o)
		return stopped
	}, ctx)
	if stopped != nil {
		return stopped
	}
	return s.classify(op, prefix, err)
}

// walk visits the files below dir whose key starts with prefix, in byte order of the keys. That is
// not the order of the names: the key "a.b" comes before "a/b", because a dot is less than a slash,
// so a directory takes part in the sorting with the slash that follows it.
func (s *Store) walk(prefix, dir string, listing func() ([]entry, error), fn func(storage.Object) error, ctx context.Context) error { //nolint:revive // the context is last because it is the least of it
	entries, err := listing()
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e entry) bool {
		key := join(dir, e.name)
		return !strings.HasPrefix(key, prefix) && !(e.isDir() && strings.HasPrefix(prefix, key))
	})
	ahead := make([]func() ([]entry, error), len(entries))
	next := 0
	for i, e := range entries {
		for ; next < len(entries) && next <= i+listAhead; next++ {
			if entries[next].isDir() {
				ahead[next] = s.readAhead(ctx, path.Clean(join(dir, entries[next].name)))
			}
		}
		key := join(dir, e.name)
		if e.isDir() {
			err = s.walk(prefix, path.Clean(key), ahead[i], fn, ctx)
			ahead[i] = nil
		} else {
			err = fn(storage.Object{Key: key, Size: e.size, ModTime: e.modTime})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func join(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

// readAhead begins to read a directory and returns how to get the result.
func (s *Store) readAhead(ctx context.Context, dir string) func() ([]entry, error) {
	type result struct {
		entries []entry
		err     error
	}
	done := make(chan result, 1)
	go func() {
		entries, err := s.readDir(ctx, dir)
		done <- result{entries, err}
	}()
	return func() ([]entry, error) {
		r := <-done
		return r.entries, r.err
	}
}

// readDir returns the sorted regular files and directories. A directory that is gone is empty. Symbolic
// links and devices are not objects.
func (s *Store) readDir(ctx context.Context, dir string) (entries []entry, err error) {
	err = s.link.Do(ctx, func(c *link.Conn) error {
		if dir != "." {
			if err := s.checkParents(c, dir+"/x"); err != nil {
				return err
			}
		}
		infos, err := c.ReadDirContext(ctx, s.path(dir))
		if err != nil {
			return err
		}
		entries = make([]entry, 0, len(infos))
		for _, info := range infos {
			name := info.Name()
			switch {
			case name == "." || name == ".." || strings.Contains(name, "/"): // no server means that well
			case dir == "." && name == storage.Reserved:
			case info.IsDir():
				entries = append(entries, entry{name: name + "/"})
			case info.Mode().IsRegular():
				entries = append(entries, entry{name: name, size: info.Size(), modTime: info.ModTime()})
			}
		}
		return nil
	})
	switch {
	case missing(err) && dir == ".":
		return nil, s.rootGone("list objects", err)
	case missing(err):
		return nil, nil
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return entries, err
}
