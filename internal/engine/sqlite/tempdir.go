package sqlite

import (
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

const (
	tempPrefix = "dataguardian-sqlite-"
	lockName   = "lock"
	// abandonedAfter keeps a directory from being taken for an abandoned one before its lock is held.
	abandonedAfter = time.Minute
)

// tempDir is a directory of this user only. Its lock goes away with the process, however that ends: the
// copies that a killed worker left are as large as databases, and the next one removes them.
type tempDir struct {
	path string
	lock *flock.Flock
}

// newTempDir makes a directory in base, where needed bytes are free.
func newTempDir(base string, needed int64) (*tempDir, error) {
	removeAbandoned(base)
	if err := checkSpace(base, needed); err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp(base, tempPrefix) // mode 0700
	if err != nil {
		return nil, err
	}
	dir := &tempDir{path: path, lock: lockIn(path)}
	if _, err := dir.lock.TryLock(); err != nil {
		dir.remove()
		return nil, err
	}
	return dir, nil
}

func (d *tempDir) file(name string) string { return filepath.Join(d.path, name) }

func (d *tempDir) remove() {
	_ = os.RemoveAll(d.path)
	_ = d.lock.Unlock()
}

func lockIn(dir string) *flock.Flock {
	return flock.New(filepath.Join(dir, lockName), flock.SetPermissions(0o600))
}

// removeAbandoned removes this user's directories whose lock nobody holds. What it can not remove is left
// for the next time.
func removeAbandoned(base string) {
	found, _ := filepath.Glob(filepath.Join(base, tempPrefix+"*"))
	for _, path := range found {
		info, err := os.Lstat(path) // a symbolic link is no directory
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < abandonedAfter {
			continue
		}
		if owner, known := info.Sys().(*syscall.Stat_t); !known || int(owner.Uid) != os.Geteuid() {
			continue
		}
		if lock := lockIn(path); tryLock(lock) {
			_ = os.RemoveAll(path)
			_ = lock.Unlock()
		}
	}
}

func tryLock(lock *flock.Flock) bool {
	held, err := lock.TryLock()
	return err == nil && held
}

// checkSpace refuses a directory in which needed bytes are not free.
func checkSpace(dir string, needed int64) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if free := int64(stat.Bavail) * stat.Bsize; free < needed { //nolint:gosec // a disk's size fits
		return lacksRoom(dir, needed, free)
	}
	return nil
}
