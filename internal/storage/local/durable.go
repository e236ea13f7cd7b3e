package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	// syncsAtOnce is how many files are made durable side by side: the journal's commits are shared.
	syncsAtOnce = 16
	// maxFresh bounds the files that are kept open: the Put that reaches it calls Sync.
	maxFresh = 512
)

// fresh is what changed since the last Sync. The files are kept open, because only what was open when
// the kernel failed to write is sure to tell.
type fresh struct {
	mu    sync.Mutex
	files []freshFile
	dirs  map[string]struct{} // in which a name appeared or went

	failed  error         // the first flush that failed: what the kernel dropped no later one brings back
	syncing chan struct{} // holds a token while nobody syncs
}

type freshFile struct {
	key  string
	file *os.File
}

// startWriting makes the kernel write file now, so that little is left to do when Sync comes. It is
// advice: what goes wrong Sync tells.
func startWriting(file *os.File) {
	_ = unix.SyncFileRange(int(file.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}

// add takes over the open file that holds the object at key.
func (f *fresh) add(key string, file *os.File) (crowded bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files = append(f.files, freshFile{key, file})
	f.dirs[path.Dir(key)] = struct{}{}
	return len(f.files) >= maxFresh
}

// touch remembers that a name in dir appeared or went.
func (f *fresh) touch(dir string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dirs[dir] = struct{}{}
}

// take gives what changed so far to the caller.
func (f *fresh) take() (files []freshFile, dirs map[string]struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	files, dirs = f.files, f.dirs
	f.files, f.dirs = nil, map[string]struct{}{}
	return files, dirs
}

// giveBack undoes take for what was not made durable.
func (f *fresh) giveBack(files []freshFile, dirs map[string]struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range files {
		if file.file != nil {
			f.files = append(f.files, file)
		}
	}
	for dir := range dirs {
		f.dirs[dir] = struct{}{}
	}
}

// fail remembers that a flush failed, also if the Sync it was for was cancelled at the same time.
func (f *fresh) fail(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil && f.failed == nil {
		f.failed = err
	}
	return err
}

func (f *fresh) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

func (f *fresh) close() {
	files, _ := f.take()
	for _, file := range files {
		_ = file.file.Close() // whoever wants it durable calls Sync before
	}
}

// Sync makes durable what this store put, copied and deleted: it flushes the files (fdatasync, many at
// a time), then every directory on the way to them. Unlike syncfs(2) it does not wait for what other
// programs wrote to the disk. After a Sync that failed every later one fails: the kernel may have
// dropped the data, and would not say so twice.
func (s *Store) Sync(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select { // who comes later waits for what is being synced now
	case <-s.fresh.syncing:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.fresh.syncing <- struct{}{} }()
	if err := s.fresh.failure(); err != nil {
		return err
	}
	files, dirs := s.fresh.take()
	err := s.syncFiles(ctx, files)
	if err == nil {
		err = s.syncDirs(ctx, dirs)
	}
	if err != nil {
		s.fresh.giveBack(files, dirs)
	}
	if failed := s.fresh.failure(); failed != nil {
		return failed
	}
	return err // that of ctx, if there is one
}

const syncOp = "sync storage"

func flush(file *os.File) error {
	err := uninterrupted(func() error { return unix.Fdatasync(int(file.Fd())) })
	return errors.Join(os.NewSyscallError("fdatasync", err), file.Close())
}

// syncFiles flushes and closes files; a file that it did not come to is left as it is.
func (s *Store) syncFiles(ctx context.Context, files []freshFile) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(syncsAtOnce)
	for i := range files {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			file := files[i].file
			files[i].file = nil
			return s.fresh.fail(classify(syncOp, files[i].key, flush(file)))
		})
	}
	return group.Wait()
}

// syncDirs flushes directories with all that they are in, up to the root. One that is gone had nothing
// left to keep.
func (s *Store) syncDirs(ctx context.Context, dirs map[string]struct{}) error {
	all := map[string]struct{}{}
	for dir := range dirs {
		for ; dir != "."; dir = path.Dir(dir) {
			all[dir] = struct{}{}
		}
		all["."] = struct{}{}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(syncsAtOnce)
	for dir := range all {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return s.fresh.fail(classify(syncOp, dir, s.syncDir(dir)))
		})
	}
	return group.Wait()
}

func (s *Store) syncDir(dir string) error {
	opened, err := s.root.Open(dir)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer opened.Close()
	if err := uninterrupted(func() error { return unix.Fsync(int(opened.Fd())) }); err != nil && !errors.Is(err, syscall.EINVAL) {
		return &fs.PathError{Op: "fsync", Path: dir, Err: err} // EINVAL: a file system whose directories need none
	}
	return nil
}

func uninterrupted(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
