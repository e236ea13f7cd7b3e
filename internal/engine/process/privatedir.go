package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// PrivateDir is a directory that only this user can look into, below one runtime directory of the
// user. Its lock is held as long as it is in use and goes away with the process, however that ends:
// a worker that is killed leaves passwords behind, and the next one finds by the lock what nobody
// uses any more. A process id would not do: a container's worker has the same one after a restart.
type PrivateDir struct {
	Path string // absolute, mode 0700
	lock *flock.Flock
}

const (
	// LockName is the file in a PrivateDir that holds its lock.
	LockName = "lock"
	// runtimeLockTimeout bounds the wait for others that make or clear directories, which takes them
	// milliseconds.
	runtimeLockTimeout = 10 * time.Second
)

// privateName is a process id, for people, and something random.
var privateName = regexp.MustCompile(`^[0-9]+-[0-9]+$`)

// NewPrivateDir makes a directory, after it removed those that died with their process. The caller
// removes it. Errors: those of TempFailure.
func NewPrivateDir() (*PrivateDir, error) {
	dir, err := newPrivateDir()
	return dir, TempFailure(err)
}

func newPrivateDir() (*PrivateDir, error) {
	base, err := runtimeDir()
	if err != nil {
		return nil, err
	}
	// Nobody may take a directory for an abandoned one before its own lock is held.
	ctx, cancel := context.WithTimeout(context.Background(), runtimeLockTimeout)
	defer cancel()
	making := flock.New(filepath.Join(base, LockName), flock.SetPermissions(0o600))
	if _, err := making.TryLockContext(ctx, 10*time.Millisecond); err != nil {
		return nil, fmt.Errorf("lock %s: %w", base, err)
	}
	defer func() { _ = making.Unlock() }()
	if err := removeAbandoned(base); err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp(base, strconv.Itoa(os.Getpid())+"-") // mode 0700
	if err != nil {
		return nil, err
	}
	dir := &PrivateDir{Path: path, lock: lockOf(path)}
	if held, err := dir.lock.TryLock(); err != nil || !held {
		dir.Remove()
		return nil, errors.Join(fmt.Errorf("%s can not be locked", path), err)
	}
	return dir, nil
}

func lockOf(dir string) *flock.Flock {
	return flock.New(filepath.Join(dir, LockName), flock.SetPermissions(0o600))
}

// Remove removes the directory with everything in it.
func (d *PrivateDir) Remove() {
	_ = os.RemoveAll(d.Path)
	_ = d.lock.Unlock()
}

// removeAbandoned removes the directories in base whose lock nobody holds. One that can not be
// locked or removed is left for the next time.
func removeAbandoned(base string) error {
	entries, err := os.ReadDir(base)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.IsDir() || !privateName.MatchString(entry.Name()) {
			continue
		}
		path := filepath.Join(base, entry.Name())
		if lock := lockOf(path); tryLock(lock) {
			_ = os.RemoveAll(path)
			_ = lock.Unlock()
		}
	}
	return nil
}

func tryLock(lock *flock.Flock) bool {
	held, err := lock.TryLock()
	return err == nil && held
}

// runtimeDir is the user's own directory in the temporary one. The name can be guessed and the
// temporary directory is everybody's, so one that somebody else prepared is refused.
func runtimeDir() (string, error) {
	user := os.Geteuid()
	path := filepath.Join(os.TempDir(), "dataguardian-"+strconv.Itoa(user))
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(path) // a symbolic link is no directory
	if err != nil {
		return "", err
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return "", fmt.Errorf("%s is not a directory but %v", path, info.Mode().Type())
	case !known || int(owner.Uid) != user:
		return "", fmt.Errorf("%s does not belong to user %d", path, user)
	case info.Mode().Perm() != 0o700:
		return "", fmt.Errorf("%s has mode %04o instead of 0700", path, info.Mode().Perm())
	}
	return path, nil
}

// TempFailure classifies an error of writing below the temporary directory: failure.StorageFull where it
// has no space, else failure.ConfigInvalid; nil stays nil.
func TempFailure(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return failure.Wrap(failure.StorageFull, "write to the worker's temporary directory", err,
			"Make room in it, or set TMPDIR to a larger one.")
	}
	return failure.Wrap(failure.ConfigInvalid, "prepare a private directory for a client tool", err,
		"Check that the worker's temporary directory (TMPDIR) can be written, or set another one.")
}
