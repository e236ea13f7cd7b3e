package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"syscall"
	"time"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// copyBuffers are what bodies are copied through.
var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// Put writes body to a temporary file and renames it to key.
func (s *Store) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	const op = "put object"
	if err := errors.Join(storage.CheckKey(op, key), storage.CheckSize(op, key, size)); err != nil {
		return err
	}
	if err := s.reserve(ctx, op, key, size); err != nil {
		return err
	}
	replaced, err := s.put(ctx, key, body, size)
	if err != nil {
		s.release(size)
		return classifyPut(op, key, err)
	}
	s.release(replaced)
	return nil
}

// put returns how many bytes the object held before.
func (s *Store) put(ctx context.Context, key string, body io.Reader, size int64) (replaced int64, err error) {
	file, temp, err := s.writeTemp(ctx, key, body, size)
	if err != nil {
		return 0, err
	}
	if old, err := s.root.Lstat(key); err == nil && old.Mode().IsRegular() {
		replaced = old.Size()
	}
	if err := s.rename(temp, key); err != nil {
		_, _ = file.Close(), s.root.Remove(temp) // the rename's error is the one that tells
		return 0, err
	}
	if s.fresh.add(key, file) {
		_ = s.Sync(ctx) // the next one returns what went wrong
	}
	return replaced, nil
}

// writeTemp returns a complete temporary file, still open, and its name; after an error there is none.
func (s *Store) writeTemp(ctx context.Context, key string, body io.Reader, size int64) (*os.File, string, error) {
	file, name, err := s.createTemp()
	if err != nil {
		return nil, "", err
	}
	if err := copyBody(ctx, file, key, body, size); err != nil {
		_, _ = file.Close(), s.root.Remove(name) // the first error is the one that tells
		return nil, "", err
	}
	startWriting(file)
	return file, name, nil
}

func copyBody(ctx context.Context, file *os.File, key string, body io.Reader, size int64) error {
	buffer := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buffer)
	// One byte more than announced is asked for, so that a longer body is noticed.
	limited := &storage.ContextReader{Ctx: ctx, R: io.LimitReader(body, size+1)}
	written, err := io.CopyBuffer(onlyWriter{file}, limited, *buffer)
	if err != nil {
		return err
	}
	if written != size {
		return storage.BodyError("put object", key, written, size)
	}
	return ctx.Err()
}

// onlyWriter hides ReadFrom of *os.File, which would bypass the buffer and, between two files, the
// checks of the context.
type onlyWriter struct{ io.Writer }

// createTemp makes a new file in .tmp. The name holds the process id for whoever looks; only the
// exclusive create makes it unique, because two hosts may share the directory.
func (s *Store) createTemp() (*os.File, string, error) {
	for {
		name := fmt.Sprintf("%s/%d-%d-%d", storage.Reserved, os.Getpid(), time.Now().UnixNano(), s.temp.Add(1))
		file, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		switch {
		case err == nil:
			return file, name, nil
		case errors.Is(err, fs.ErrNotExist):
			if err := s.root.MkdirAll(storage.Reserved, 0o700); err != nil {
				return nil, "", err
			}
		case !errors.Is(err, fs.ErrExist):
			return nil, "", err
		}
	}
}

// rename moves temp to key, making the directories on the way. Delete removes directories that it
// emptied, so one may vanish between the two steps: then both are tried again.
func (s *Store) rename(temp, key string) error {
	const attempts = 100
	var err error
	for range attempts {
		if err = s.root.Rename(temp, key); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err = s.root.MkdirAll(path.Dir(key), 0o700); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return err
}

// Delete removes the file and the directories that it leaves empty.
func (s *Store) Delete(ctx context.Context, key string) error {
	const op = "delete object"
	if err := errors.Join(storage.CheckKey(op, key), ctx.Err()); err != nil {
		return err
	}
	info, err := s.root.Lstat(key)
	if missing(err) || err == nil && info.IsDir() {
		s.fresh.touch(path.Dir(key)) // who deleted it may not have come to Sync
		return nil
	}
	if err == nil {
		err = s.root.Remove(key)
	}
	if err != nil && !missing(err) {
		return classify(op, key, err)
	}
	if err == nil && info.Mode().IsRegular() {
		s.release(info.Size())
	}
	s.fresh.touch(path.Dir(key))
	s.removeEmpty(key)
	return nil //nolint:nilerr // somebody else was faster: what was asked for is true
}

// removeEmpty removes the directories that the object at key left empty.
func (s *Store) removeEmpty(key string) {
	for dir := path.Dir(key); dir != "."; dir = path.Dir(dir) {
		if s.root.Remove(dir) != nil { // not empty, or somebody else was faster
			return
		}
	}
}

// Copy reads from and puts to.
func (s *Store) Copy(ctx context.Context, from, to string) error {
	const op = "copy object"
	if err := errors.Join(storage.CheckKey(op, from), storage.CheckKey(op, to)); err != nil {
		return err
	}
	source, size, err := s.openObject(ctx, op, from)
	if err != nil {
		return err
	}
	if from == to { // it stays what it is, and is this store's to make durable
		if s.fresh.add(to, source) {
			_ = s.Sync(ctx) // the next one returns what went wrong
		}
		return nil
	}
	defer source.Close()
	return s.Put(ctx, to, source, size)
}

// removeStale removes what uploads that never finished left. Where this process may not write it
// stays: a disk that is mounted read-only, or belongs to another user, can still be read from.
func (s *Store) removeStale() error {
	dir, err := s.root.Open(storage.Reserved)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		name = storage.Reserved + "/" + name
		info, err := s.root.Lstat(name)
		if err != nil || !info.Mode().IsRegular() || time.Since(info.ModTime()) < staleAfter {
			continue
		}
		if err := s.root.Remove(name); err != nil && !missing(err) && !unwritable(err) {
			return err
		}
	}
	return nil
}

// unwritable reports whether err says that this process may only read.
func unwritable(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
}

// missing reports whether err says that a path, or a directory on the way to it, is not there.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
