package local

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// contextReader ends with the context's error as soon as the context has ended.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

// Read checks the context before each read.
func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// object is a reader of a range of a file.
type object struct {
	contextReader
	key  string
	file *os.File
}

// Read classifies what the file system says.
func (o *object) Read(p []byte) (int, error) {
	n, err := o.contextReader.Read(p)
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
	return &object{contextReader: contextReader{ctx: ctx, r: io.LimitReader(file, length)}, key: key, file: file}, nil
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
	names, err := s.readDir(ctx, dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		key := strings.TrimPrefix(dir+"/"+name, "./")
		if isDir := strings.HasSuffix(name, "/"); isDir {
			if strings.HasPrefix(key, prefix) || strings.HasPrefix(prefix, key) {
				if err := s.walk(ctx, path.Clean(key), prefix, fn); err != nil {
					return err
				}
			}
			continue
		}
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		info, err := s.root.Lstat(key)
		if missing(err) {
			continue // deleted since the directory was read
		}
		if err != nil {
			return err
		}
		if err := fn(storage.Object{Key: key, Size: info.Size(), ModTime: info.ModTime()}); err != nil {
			return err
		}
	}
	return nil
}

// readDir returns the sorted names of the regular files and, with a slash, of the directories. A
// directory that is gone is empty. Symbolic links and devices are not objects.
func (s *Store) readDir(ctx context.Context, dir string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, err := s.root.Open(dir)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	entries, err := file.ReadDir(-1)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		switch {
		case dir == "." && entry.Name() == storage.Reserved:
		case entry.IsDir():
			names = append(names, entry.Name()+"/")
		case entry.Type().IsRegular():
			names = append(names, entry.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}
