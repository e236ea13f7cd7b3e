package postgres

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
)

// privateDir is a directory that only this user can look into, below one runtime directory of the
// user. Its lock is held as long as it is in use and goes away with the process, however that ends:
// a worker that is killed leaves passwords behind, and the next one finds by the lock what nobody
// uses any more. A process id would not do: a container's worker has the same one after a restart.
type privateDir struct {
	path string
	lock *flock.Flock
}

const (
	lockName = "lock"
	// runtimeLockTimeout bounds the wait for others that make or clear directories, which takes them
	// milliseconds.
	runtimeLockTimeout = 10 * time.Second
)

// privateName is a process id, for people, and something random.
var privateName = regexp.MustCompile(`^[0-9]+-[0-9]+$`)

// newPrivateDir makes a directory, after it removed those that died with their process.
func newPrivateDir() (*privateDir, error) {
	base, err := runtimeDir()
	if err != nil {
		return nil, err
	}
	// Nobody may take a directory for an abandoned one before its own lock is held.
	ctx, cancel := context.WithTimeout(context.Background(), runtimeLockTimeout)
	defer cancel()
	making := flock.New(filepath.Join(base, lockName), flock.SetPermissions(0o600))
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
	dir := &privateDir{path: path, lock: lockOf(path)}
	if held, err := dir.lock.TryLock(); err != nil || !held {
		dir.remove()
		return nil, errors.Join(fmt.Errorf("%s can not be locked", path), err)
	}
	return dir, nil
}

func lockOf(dir string) *flock.Flock {
	return flock.New(filepath.Join(dir, lockName), flock.SetPermissions(0o600))
}

func (d *privateDir) remove() {
	_ = os.RemoveAll(d.path)
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
