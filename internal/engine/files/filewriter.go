package files

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// writeFile makes one file. Its content comes without holes if there is a sparse map.
func (x *extraction) writeFile(e *entry, attributes map[string]string, content io.Reader, sparse *sparseMap, buffer []byte) error {
	fd, err := unix.Openat(x.fd(), e.name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, e.mode&0o777|0o200)
	if err != nil {
		return x.failed("make", e, err)
	}
	err = x.fill(fd, e, content, sparse, buffer)
	if err == nil {
		err = x.dress(fd, e, attributes)
	}
	if closeErr := unix.Close(fd); err == nil && closeErr != nil {
		err = x.failed("write", e, closeErr)
	}
	return err
}

func (x *extraction) fill(fd int, e *entry, content io.Reader, sparse *sparseMap, buffer []byte) error {
	w := &fdWriter{fd: fd}
	if sparse == nil {
		sparse = &sparseMap{regions: []region{{0, e.size}}}
	} else if err := unix.Ftruncate(fd, e.size); err != nil {
		return x.failed("make room for", e, err)
	}
	for _, r := range sparse.regions {
		w.at = r.offset
		n, err := io.CopyBuffer(w, io.LimitReader(content, r.length), buffer)
		if w.err != nil {
			return x.failed("write", e, w.err)
		}
		if err == nil && n < r.length {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return cut(err)
		}
	}
	return nil
}

// fdWriter writes at an offset, and keeps its error to tell it from one of the reader.
type fdWriter struct {
	fd  int
	at  int64
	err error
}

func (w *fdWriter) Write(p []byte) (n int, err error) {
	for n < len(p) {
		written, err := unix.Pwrite(w.fd, p[n:], w.at)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			w.err = err
			return n, err
		}
		n += written
		w.at += int64(written)
	}
	return n, nil
}

// dress gives a file or directory its owner, mode, attributes and times: in this order, because each
// may undo the one before.
func (x *extraction) dress(fd int, e *entry, attributes map[string]string) error {
	if x.asRoot && (e.uid != x.uid || e.gid != x.gid) {
		if err := unix.Fchown(fd, int(e.uid), int(e.gid)); err != nil {
			return x.failed("set the owner of", e, err)
		}
	}
	if created := (e.mode&0o777 | 0o200) &^ x.masked; e.kind != kindFile || created != e.mode || x.asRoot && e.uid != x.uid {
		mode := e.mode
		if !x.asRoot && (e.uid != x.uid || e.gid != x.gid) {
			mode &^= 0o6000 // of somebody else they would be rights that nobody gave
		}
		if err := unix.Fchmod(fd, mode); err != nil {
			return x.failed("set the mode of", e, err)
		}
	}
	for name, value := range attributes {
		if err := unix.Fsetxattr(fd, name, []byte(value), 0); err != nil {
			if full(err) {
				return x.failed("set attributes of", e, err)
			}
			x.warnings.add(e.name, "its attribute %s was not restored: %v", name, err)
		}
	}
	return x.times(e)
}

func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

func (x *extraction) times(e *entry) error {
	at := unix.NsecToTimespec(e.mtime)
	if err := unix.UtimesNanoAt(x.fd(), e.name, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return x.failed("set the time of", e, err)
	}
	return nil
}

// remember keeps the attributes of what is made later.
func (x *extraction) remember(e *entry, attributes map[string]string) {
	x.remembering.Lock()
	defer x.remembering.Unlock()
	x.attributes[e] = attributes
}

// links makes hard links, then symbolic ones, and then dresses the directories, children first.
func (x *extraction) links(ctx context.Context) error {
	for _, e := range x.chosen.entries {
		if e.kind == kindHardlink {
			if err := unix.Linkat(x.fd(), e.link, x.fd(), e.name, 0); err != nil {
				return x.badLink(e, err)
			}
		}
	}
	for _, e := range x.chosen.entries {
		if e.kind == kindSymlink {
			if err := x.symlink(e); err != nil {
				return err
			}
		}
	}
	for i := len(x.chosen.entries) - 1; i >= 0; i-- {
		e := x.chosen.entries[i]
		if e.kind != kindDir {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		fd, err := unix.Openat(x.fd(), e.name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return x.failed("open", e, err)
		}
		err = x.dress(fd, e, x.attributes[e])
		_ = unix.Close(fd)
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *extraction) badLink(e *entry, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return failure.New(failure.Corrupt, "restore files", printable(e.name)+" is another name of "+printable(e.link)+", which is not in the backup", "Use another backup.")
	}
	return x.failed("link", e, err)
}

func (x *extraction) symlink(e *entry) error {
	if err := unix.Symlinkat(e.link, x.fd(), e.name); err != nil {
		return x.failed("make", e, err)
	}
	if x.asRoot && (e.uid != x.uid || e.gid != x.gid) {
		if err := unix.Fchownat(x.fd(), e.name, int(e.uid), int(e.gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return x.failed("set the owner of", e, err)
		}
	}
	path := x.root.Name() + "/" + e.name // its directories are ours, and none of them is a link
	for name, value := range x.attributes[e] {
		if err := unix.Lsetxattr(path, name, []byte(value), 0); err != nil && !strings.HasPrefix(name, "security.") {
			x.warnings.add(e.name, "its attribute %s was not restored: %v", name, err)
		}
	}
	return x.times(e)
}
