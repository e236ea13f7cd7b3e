package ssh

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage/ssh/link"
)

const (
	// dirTrust is how long a directory that was looked at counts as one.
	dirTrust = time.Minute
	// maxKnownDirs bounds the memory for them.
	maxKnownDirs = 10_000

	linkHint = "Symbolic links in the storage directory are not followed; remove the link."
	nameHint = "On a file system a name is either an object or a directory; choose another key."
)

// directories remembers which directories below the root were seen to be real ones. SFTP has no way to
// walk a path without following symbolic links, so every element is looked at before the whole is used.
type directories struct {
	mu    sync.Mutex
	known map[string]time.Time
}

func (d *directories) trusted(dir string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen, ok := d.known[dir]
	return ok && time.Since(seen) < dirTrust
}

func (d *directories) add(dir string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil || len(d.known) >= maxKnownDirs {
		d.known = map[string]time.Time{}
	}
	d.known[dir] = time.Now()
}

// forget drops dir, which was not there any more, and all below it.
func (d *directories) forget(dir string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for known := range d.known {
		if known == dir || strings.HasPrefix(known, dir+"/") {
			delete(d.known, known)
		}
	}
}

// parents lists the directories on the way to key, outermost first.
func parents(key string) []string {
	var dirs []string
	for dir := path.Dir(key); dir != "."; dir = path.Dir(dir) {
		dirs = append([]string{dir}, dirs...)
	}
	return dirs
}

// checkParents looks at the directories on the way to key, all at once. It returns fs.ErrNotExist if
// one is missing, errNotDirectory if one is a file, and ConfigInvalid for a symbolic link.
func (s *Store) checkParents(c *link.Conn, key string) error {
	var unknown []string
	for _, dir := range parents(key) {
		if !s.dirs.trusted(dir) {
			unknown = append(unknown, dir)
		}
	}
	errs := make([]error, len(unknown))
	var looking sync.WaitGroup
	for i, dir := range unknown {
		looking.Go(func() { errs[i] = s.checkDir(c, dir) })
	}
	looking.Wait()
	for _, err := range errs { // the outermost tells: what is behind a link means nothing
		if err != nil {
			return err
		}
	}
	return nil
}

// errNotDirectory is what stands where a directory should: an object, or a device.
var errNotDirectory = errors.New("not a directory")

func (s *Store) checkDir(c *link.Conn, dir string) error {
	info, err := c.Lstat(s.path(dir))
	switch {
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		return linkError(dir)
	case !info.IsDir():
		return fmt.Errorf("%s: %w", dir, errNotDirectory)
	}
	s.dirs.add(dir)
	return nil
}

func linkError(name string) error {
	return failure.New(failure.ConfigInvalid, "", name+" is a symbolic link on the server", linkHint)
}

// makeParents creates the directories on the way to key. Whoever deletes may remove them again.
func (s *Store) makeParents(c *link.Conn, key string) error {
	for _, dir := range parents(key) {
		if s.dirs.trusted(dir) {
			continue
		}
		if err := s.makeDir(c, dir); err != nil {
			return err
		}
	}
	return nil
}

// makeDir makes sure of a directory in an existing one. Others may make it and remove it again between
// two looks, and the server does not say that a directory exists already: only what stays is an error.
func (s *Store) makeDir(c *link.Conn, dir string) (err error) {
	const attempts = 20
	for range attempts {
		if found := s.checkDir(c, dir); !errors.Is(found, fs.ErrNotExist) {
			return found
		}
		var status *sftp.StatusError
		if err = c.Mkdir(s.path(dir)); err == nil || !errors.As(err, &status) {
			break
		}
	}
	if err == nil {
		s.dirs.add(dir)
	}
	return err
}

// missing reports whether err says that a path, or a directory on the way to it, is not there.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDirectory)
}
