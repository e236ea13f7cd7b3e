package ssh

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/pkg/sftp"
	"golang.org/x/sync/errgroup"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/ssh/link"
)

const (
	fsyncExtension = "fsync@openssh.com"
	// maxUnsynced bounds what is remembered: the Put that reaches it calls Sync.
	maxUnsynced = 4096
	// syncsAtOnce is how many files are made durable side by side.
	syncsAtOnce = 16
)

// unsynced are the objects that were put since the last Sync.
type unsynced struct {
	// changing is held for reading while an object appears or goes, and for writing to make sure that
	// none is just doing so.
	changing sync.RWMutex

	mu      sync.Mutex
	objects map[string]*freshObject

	syncing sync.Mutex
	failed  error // under syncing: what a Sync met that another one might not meet again
}

// freshObject is what Sync has to find on the server.
type freshObject struct {
	gone   bool // it was deleted: nothing may be there
	size   int64
	sum    uint32 // CRC-32C
	losses int64  // of connections until it was put or deleted
}

func (u *unsynced) add(key string, object *freshObject) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.objects == nil {
		u.objects = map[string]*freshObject{}
	}
	u.objects[key] = object
}

func (u *unsynced) crowded() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.objects) >= maxUnsynced
}

func (u *unsynced) current(key string, object *freshObject) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.objects[key] == object
}

// Sync has the server write every object that was put since the last Sync to its disk (fsync of the
// file), then every directory on the way to one: OpenSSH's server opens directories like files. What a
// server lacks is left out. A connection that broke meanwhile may have been a server that crashed, which
// forgets what it had confirmed: what was put before is then read back. An object that is not there any
// more as it was put is an error, and so is every Sync of this store after one that failed on the server.
func (s *Store) Sync(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.fresh.syncing.Lock() // who comes later waits for what is being synced now
	defer s.fresh.syncing.Unlock()
	if s.fresh.failed != nil {
		return s.fresh.failed
	}
	err := s.sync(ctx)
	switch failure.ClassOf(err) {
	case failure.Unreachable, failure.Timeout, failure.Cancelled:
	default: // after a failed write-back the server's kernel may have dropped the data and succeed the next time
		s.fresh.failed = err
	}
	return err
}

func (s *Store) sync(ctx context.Context) error {
	const op = "sync storage"
	s.fresh.mu.Lock()
	objects := maps.Clone(s.fresh.objects)
	s.fresh.mu.Unlock()
	files, fileCtx := errgroup.WithContext(ctx)
	files.SetLimit(syncsAtOnce)
	losses := s.link.Losses()
	dirs := map[string]struct{}{}
	for key, object := range objects {
		dirs["."] = struct{}{}
		for _, dir := range parents(key) {
			dirs[dir] = struct{}{}
		}
		files.Go(func() error { return s.classify(op, key, s.syncObject(fileCtx, key, object)) })
	}
	if err := files.Wait(); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	if err := s.syncDirs(ctx, slices.Collect(maps.Keys(dirs))); err != nil {
		return s.classify(op, s.root, err)
	}
	if err := s.settle(ctx, objects, slices.Collect(maps.Keys(dirs)), losses); err != nil {
		return err
	}
	s.fresh.mu.Lock()
	defer s.fresh.mu.Unlock()
	for key, object := range objects {
		if s.fresh.objects[key] == object {
			delete(s.fresh.objects, key)
		}
	}
	return nil
}

// syncObject is done with an object that was deleted or replaced while it was looked at.
func (s *Store) syncObject(ctx context.Context, key string, object *freshObject) error {
	err := s.link.Do(ctx, func(c *link.Conn) error {
		err := s.syncFile(c, key, object)
		return s.explain(c, "sync storage", key, 0, err)
	})
	if !errors.Is(err, errChanged) && !errors.Is(err, errReturned) {
		return err
	}
	s.fresh.changing.Lock()
	defer s.fresh.changing.Unlock()
	if !s.fresh.current(key, object) {
		return nil
	}
	return failure.Wrap(failure.Unknown, "", fmt.Errorf("%s: %s: %w", s.link.Address(), key, err),
		"The server lost what it had confirmed, or somebody else changed it; what was done since the last Sync has to be repeated.")
}

// errChanged is an object that is not on the server as it was put.
var errChanged = errors.New("the object is not there any more as it was put")

func (s *Store) syncFile(c *link.Conn, key string, object *freshObject) error {
	if object.gone {
		return s.checkGone(c, key, object)
	}
	info, err := c.Lstat(s.path(key))
	if missing(err) || err == nil && (!info.Mode().IsRegular() || info.Size() != object.size) {
		return errChanged
	}
	if err != nil {
		return err
	}
	readBack := s.link.Losses() != object.losses
	if !readBack && !c.Has(fsyncExtension) {
		return nil
	}
	file, err := c.Open(s.path(key))
	if missing(err) {
		return errChanged
	}
	if err != nil {
		return err
	}
	if readBack {
		err = compare(file, object)
	}
	if err == nil && c.Has(fsyncExtension) {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func compare(file *sftp.File, object *freshObject) error {
	sum := crc32.New(castagnoli)
	n, err := io.Copy(sum, file)
	if err != nil {
		return err
	}
	if n != object.size || sum.Sum32() != object.sum {
		return errChanged
	}
	return nil
}

func (s *Store) syncDirs(ctx context.Context, dirs []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(syncsAtOnce)
	for _, dir := range dirs {
		group.Go(func() error {
			return s.link.Do(ctx, func(c *link.Conn) error { return syncDir(c, s.path(dir)) })
		})
	}
	return group.Wait()
}

// syncDir makes the entries of a directory durable, where the server lets it be opened like a file.
func syncDir(c *link.Conn, dir string) error {
	if !c.Has(fsyncExtension) {
		return nil
	}
	file, err := c.Open(dir)
	var known *sftp.StatusError
	if errors.As(err, &known) || errors.Is(err, fs.ErrPermission) || missing(err) {
		return nil // it does not, or the directory was empty and is gone
	}
	if err != nil {
		return err
	}
	return errors.Join(dirSyncError(file.Sync()), file.Close())
}

// Usage counts the objects' bytes (a walk of the tree, kept for a few minutes, unknown if it takes long) and asks the server what
// is free for this user and how large its file system is, if it can tell.
func (s *Store) Usage(ctx context.Context) (storage.Usage, error) {
	const op = "measure storage"
	used, err := s.used(ctx)
	if err != nil {
		return storage.Usage{}, s.classify(op, s.root, err)
	}
	result := storage.Usage{Used: used, Available: -1, Capacity: -1}
	err = s.link.Do(ctx, func(c *link.Conn) error {
		if !c.Has(statVFSExtension) {
			return nil
		}
		disk, err := c.StatVFS(s.root)
		if err != nil {
			return err
		}
		result.Available, result.Capacity = int64(disk.Bavail*disk.Frsize), int64(disk.Blocks*disk.Frsize)
		return nil
	})
	return result, s.classify(op, s.root, err)
}
