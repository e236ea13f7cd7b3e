package files

import (
	"errors"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/posixlock"
)

// tree opens the files below a directory, which may change meanwhile: no symbolic link leads out of it
// unless links are followed.
type tree struct {
	root   *os.File
	path   string
	follow bool
	plain  atomic.Bool // the kernel has no openat2
}

// open opens a file for reading, or with O_DIRECTORY a directory. It does not wait, should it have become a
// pipe.
func (t *tree) open(path string, more int) (int, error) {
	flags := unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC | more
	root := int(t.root.Fd())
	for {
		var fd int
		var err error
		switch {
		case t.follow:
			fd, err = unix.Openat(root, path, flags, 0)
		case t.plain.Load():
			fd, err = unix.Openat(root, path, flags|unix.O_NOFOLLOW, 0)
		default:
			fd, err = unix.Openat2(root, path, &unix.OpenHow{
				Flags: uint64(flags | unix.O_NOFOLLOW), Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
			})
			if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // an old kernel, or a sandbox that does not know the call
				t.plain.Store(true)
				continue
			}
		}
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		return fd, err
	}
}

// openEntry opens a file as it is now, and brings the entry up to date. It may be a database that SQLite has open in this
// process: package posixlock closes it.
func (t *tree) openEntry(e *entry) (int, error) {
	fd, err := t.open(e.path(), 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = unix.ENOENT // it is something else now
	}
	if err != nil {
		_ = posixlock.CloseDescriptor(fd)
		return -1, err
	}
	e.fill(&st)
	return fd, nil
}

// racy is how long after a change another one may have the same time: the clock of a file system ticks.
const racy = 20e6 // ns

// settled reports whether a file is as it was when it was opened, and notes in the entry if it is not, or
// if a change meanwhile could not be told.
func settled(e *entry, fd int, now int64) bool {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Size != e.size || st.Mtim.Nano() != e.mtime || st.Ctim.Nano() != e.ctime {
		e.flags |= flagSuspect
		return false
	}
	if now-e.ctime < racy {
		e.flags |= flagSuspect
	}
	return true
}
