// Package local keeps objects as files below one directory.
//
// Every path goes through os.Root, so neither a key nor a symbolic link placed in the tree can make
// it touch anything outside. An upload is written to a file in .tmp and renamed into place.
package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// Options says which directory and how much of it.
type Options struct {
	Root     string // absolute path; created (0700) if its parent exists
	MaxBytes int64  // quota over all objects in bytes, 0 for none
	Reading  bool   // Open creates and removes nothing; a directory that is not there is NotFound
}

// staleAfter is how old a file in .tmp is when it must belong to a process that died: no upload of
// one object takes a day, and another worker may be uploading into the same directory now.
const staleAfter = 24 * time.Hour

// Store is a storage.Store on a local directory.
type Store struct {
	root  *os.Root
	dir   *os.File // the root directory, for statfs
	quota quota
	fresh fresh
	temp  atomic.Uint64 // makes temporary names unique within the process

	closeOnce sync.Once
	closeErr  error
}

var _ storage.Store = (*Store)(nil)

// Open opens the directory, creating it if only the last element is missing, and removes what
// processes that died left in .tmp. Errors: ConfigInvalid for a path that can not be used,
// AuthFailed for one this user may not use.
func Open(ctx context.Context, opts Options) (*Store, error) {
	const op = "open local storage"
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !filepath.IsAbs(opts.Root) || filepath.Clean(opts.Root) == "/" {
		return nil, failure.New(failure.ConfigInvalid, op, "path "+opts.Root+" is not an absolute path below /",
			"Give the storage location an absolute directory of its own.")
	}
	if err := makeRoot(opts); err != nil {
		return nil, classify(op, opts.Root, err)
	}
	if info, err := os.Stat(opts.Root); err == nil && !info.IsDir() {
		return nil, failure.New(failure.ConfigInvalid, op, opts.Root+" is not a directory", "Give the storage location a directory of its own.")
	}
	root, err := os.OpenRoot(opts.Root)
	if err != nil {
		return nil, classify(op, opts.Root, err)
	}
	dir, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(classify(op, opts.Root, err), root.Close())
	}
	s := &Store{root: root, dir: dir}
	s.fresh.dirs, s.fresh.syncing = map[string]struct{}{}, make(chan struct{}, 1)
	s.fresh.syncing <- struct{}{}
	s.quota.max = opts.MaxBytes
	if opts.Reading {
		return s, nil
	}
	if err := s.removeStale(); err != nil {
		return nil, errors.Join(classify(op, opts.Root, err), s.Close())
	}
	return s, nil
}

// makeRoot creates the last element of path only: a missing parent is more likely a typing error
// or a disk that is not mounted than a wish.
func makeRoot(opts Options) error {
	if opts.Reading {
		return nil
	}
	path := opts.Root
	err := os.Mkdir(path, 0o700)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return failure.New(failure.ConfigInvalid, "create directory", "the parent directory of "+path+" does not exist",
			"Create it, or mount the disk it is on, on every worker of the pool.")
	case err != nil:
		return err
	}
	// The new name is an entry of the parent, which Sync does not look at.
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// Usage counts the objects' bytes (a walk of the tree, kept for a few minutes) and asks the file
// system what is free for this user and how large it is; the quota, if there is one, limits both.
func (s *Store) Usage(ctx context.Context) (storage.Usage, error) {
	const op = "measure storage"
	used, err := s.used(ctx)
	if err != nil {
		return storage.Usage{}, classify(op, s.root.Name(), err)
	}
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(s.dir.Fd()), &stat); err != nil {
		return storage.Usage{}, classify(op, s.root.Name(), os.NewSyscallError("fstatfs", err))
	}
	available, capacity := int64(stat.Bavail)*stat.Bsize, int64(stat.Blocks)*stat.Bsize
	if s.quota.max > 0 {
		available = max(0, min(available, s.quota.max-used))
		capacity = min(capacity, s.quota.max)
	}
	return storage.Usage{Used: used, Available: available, Capacity: capacity}, nil
}

// Close closes the directory.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.fresh.close()
		s.closeErr = errors.Join(s.dir.Close(), s.root.Close())
	})
	return s.closeErr
}
