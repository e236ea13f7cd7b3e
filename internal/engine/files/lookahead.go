package files

import (
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// lookahead lists directories in a few goroutines before the walk comes to them.
type lookahead struct {
	tree    *tree
	slots   chan struct{}
	running sync.WaitGroup
}

// end waits for the goroutines, which use the tree's root: it may be closed only after it.
func (a *lookahead) end() { a.running.Wait() }

// listing is what a directory holds, sorted by name.
type listing struct {
	tree     *tree
	path     string        // from the root
	taken    chan struct{} // of capacity 1: who puts a token lists it
	done     chan struct{}
	children []child
	err      error
}

type child struct {
	name string
	link string // of a symlink
	stat unix.Stat_t
	err  error
}

func newLookahead(t *tree, jobs int) *lookahead {
	return &lookahead{tree: t, slots: make(chan struct{}, jobs)}
}

// list begins to list a directory if a goroutine is free. If none is, wait does it.
func (a *lookahead) list(path string) *listing {
	l := &listing{tree: a.tree, path: path, taken: make(chan struct{}, 1), done: make(chan struct{})}
	select {
	case a.slots <- struct{}{}:
		l.taken <- struct{}{}
		a.running.Go(func() {
			l.read()
			<-a.slots
		})
	default:
	}
	return l
}

func (l *listing) wait() ([]child, error) {
	select {
	case l.taken <- struct{}{}:
		l.read()
	default:
	}
	<-l.done
	children := l.children
	l.children = nil
	return children, l.err
}

func (l *listing) read() {
	defer close(l.done)
	opened, err := l.tree.open(l.path, unix.O_DIRECTORY)
	if err != nil {
		l.err = err
		return
	}
	dir := os.NewFile(uintptr(opened), l.path) //nolint:gosec // a file descriptor
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		l.err = err
		return
	}
	slices.SortFunc(names, strings.Compare)
	l.children = make([]child, len(names))
	fd := int(dir.Fd())
	for i, name := range names {
		c := &l.children[i]
		c.name = name
		if c.err = fstatat(fd, name, &c.stat, unix.AT_SYMLINK_NOFOLLOW); c.err != nil || c.stat.Mode&unix.S_IFMT != unix.S_IFLNK {
			continue
		}
		if l.tree.follow && fstatat(fd, name, &c.stat, 0) == nil {
			continue
		}
		c.link, c.err = readlink(fd, name)
	}
}

func fstatat(fd int, name string, st *unix.Stat_t, flags int) error {
	for {
		if err := unix.Fstatat(fd, name, st, flags); err != unix.EINTR { //nolint:errorlint // an errno
			return err
		}
	}
}

func readlink(fd int, name string) (string, error) {
	for size := 256; ; size *= 4 {
		buffer := make([]byte, size)
		n, err := unix.Readlinkat(fd, name, buffer)
		if err != nil {
			return "", err
		}
		if n < size {
			return string(buffer[:n]), nil
		}
	}
}
