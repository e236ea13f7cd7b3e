package local

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// object is a reader of a range of a file.
type object struct {
	storage.ContextReader
	key  string
	file *os.File
}

// Read classifies what the file system says.
func (o *object) Read(p []byte) (int, error) {
	n, err := o.ContextReader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = classifyRead("get object", o.key, err)
	}
	return n, err
}

// Close closes the file.
func (o *object) Close() error { return o.file.Close() }

// Get opens the file at an offset.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	const op = "get object"
	if err := storage.CheckKey(op, key); err != nil {
		return nil, err
	}
	file, size, err := s.openObject(ctx, op, key)
	if err != nil {
		return nil, err
	}
	length, err = storage.CheckRange(op, key, offset, length, size)
	if err == nil && offset > 0 {
		_, err = file.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(classify(op, key, err), file.Close())
	}
	return &object{ContextReader: storage.ContextReader{Ctx: ctx, R: io.LimitReader(file, length)}, key: key, file: file}, nil
}

// openObject opens an existing regular file.
func (s *Store) openObject(ctx context.Context, op, key string) (*os.File, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	// Stat first: opening a FIFO that somebody placed there would block.
	info, err := s.root.Stat(key)
	if err != nil {
		return nil, 0, classify(op, key, err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, storage.NotFoundError(op, key)
	}
	file, err := s.root.Open(key)
	if err != nil {
		return nil, 0, classify(op, key, err)
	}
	// The size of what was opened, not of what may have been replaced since.
	if info, err = file.Stat(); err != nil {
		return nil, 0, errors.Join(classify(op, key, err), file.Close())
	}
	return file, info.Size(), nil
}

// Stat describes the file.
func (s *Store) Stat(ctx context.Context, key string) (storage.Object, error) {
	const op = "stat object"
	if err := errors.Join(storage.CheckKey(op, key), ctx.Err()); err != nil {
		return storage.Object{}, err
	}
	info, err := s.root.Stat(key)
	if err != nil {
		return storage.Object{}, classify(op, key, err)
	}
	if !info.Mode().IsRegular() {
		return storage.Object{}, storage.NotFoundError(op, key)
	}
	return storage.Object{Key: key, Size: info.Size(), ModTime: info.ModTime()}, nil
}

// List walks the directories that can hold the prefix.
func (s *Store) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	const op = "list objects"
	if err := storage.CheckPrefix(op, prefix); err != nil {
		return err
	}
	start := "."
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		start = prefix[:i]
	}
	var stopped error // what fn returned goes back as it is
	err := s.walk(ctx, start, prefix, func(o storage.Object) error {
		stopped = fn(o)
		return stopped
	})
	if stopped != nil {
		return stopped
	}
	return classify(op, prefix, err)
}

// walk visits the files below dir whose key starts with prefix, in byte order of the keys. That is
// not the order of the names: the key "a.b" comes before "a/b", because a dot is less than a slash,
// so a directory takes part in the sorting with the slash that follows it.
func (s *Store) walk(ctx context.Context, dir, prefix string, fn func(storage.Object) error) error {
	opened, err := s.root.Open(dir)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.walkOpened(ctx, opened, dir, prefix, fn)
}

// walkOpened is walk for a directory that is open, which it closes.
func (s *Store) walkOpened(ctx context.Context, opened *os.File, dir, prefix string, fn func(storage.Object) error) error {
	defer opened.Close()
	entries, err := entriesOf(ctx, opened, dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		key := strings.TrimPrefix(dir+"/"+entry.name, "./")
		if name, isDir := strings.CutSuffix(entry.name, "/"); isDir {
			if !strings.HasPrefix(key, prefix) && !strings.HasPrefix(prefix, key) {
				continue
			}
			dirKey := path.Clean(key)
			below, err := s.openBelow(opened, dirKey, name)
			if missing(err) {
				continue // it went, or was replaced, since the directory was read
			}
			if err != nil {
				return err
			}
			if err := s.walkOpened(ctx, below, dirKey, prefix, fn); err != nil {
				return err
			}
			continue
		}
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		if err := fn(storage.Object{Key: key, Size: entry.size, ModTime: entry.changed}); err != nil {
			return err
		}
	}
	return nil
}

// openBelow opens the directory of that key, whose last part is name, in its parent, which is open: to walk there from the root
// again would cost a call for every directory on the way. Nothing is opened that a symbolic link leads to.
func (s *Store) openBelow(parent *os.File, key, name string) (*os.File, error) {
	var fd int
	err := uninterrupted(func() (err error) {
		fd, err = unix.Openat(int(parent.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if errors.Is(err, unix.ESTALE) { // another host removed the parent, and may have made it again
		return s.root.Open(key)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "openat", Path: key, Err: err}
	}
	return os.NewFile(uintptr(fd), key), nil
}

// dirEntry is a regular file, or a directory, whose name ends in a slash.
type dirEntry struct {
	name    string
	size    int64
	changed time.Time
}

// readDir is entriesOf for a directory by its name. One that is gone is empty.
func (s *Store) readDir(ctx context.Context, dir string) ([]dirEntry, error) {
	file, err := s.root.Open(dir)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return entriesOf(ctx, file, dir)
}

// entriesOf returns the regular files and the directories in an open directory, sorted by name. The place of what goes meanwhile
// is empty. Symbolic links and devices are not objects.
func entriesOf(ctx context.Context, file *os.File, dir string) ([]dirEntry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found, err := file.ReadDir(-1)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries := make([]dirEntry, 0, len(found))
	for _, e := range found {
		switch {
		case dir == "." && e.Name() == storage.Reserved:
		case e.IsDir():
			entries = append(entries, dirEntry{name: e.Name() + "/"})
		case e.Type().IsRegular():
			// Beside the open directory: to walk there from the root again costs several calls a file.
			var stat unix.Stat_t
			err := uninterrupted(func() error { return unix.Fstatat(int(file.Fd()), e.Name(), &stat, unix.AT_SYMLINK_NOFOLLOW) })
			if errors.Is(err, unix.ENOENT) || (err == nil && stat.Mode&unix.S_IFMT != unix.S_IFREG) {
				continue // it went, or was replaced, since the directory was read
			}
			if err != nil {
				return nil, &fs.PathError{Op: "lstat", Path: path.Join(dir, e.Name()), Err: err}
			}
			entries = append(entries, dirEntry{e.Name(), stat.Size, time.Unix(stat.Mtim.Unix())})
		}
	}
	slices.SortFunc(entries, func(a, b dirEntry) int { return strings.Compare(a.name, b.name) })
	return entries, nil
}
