package referenced

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/pkg/sftp"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/posixlock"
)

// tree is what lies below a base directory.
type tree interface {
	// open opens a regular file below it, whose path relative to it is clean; no link leads outside. A classified error
	// is about the place that the tree is in, any other about the file.
	open(relative string) (io.ReadCloser, fs.FileInfo, error)
	close()
}

var (
	errOutside   = errors.New("it is outside of base_directories")
	errIrregular = errors.New("it is no regular file")
)

// local is a directory of the worker.
type local struct{ root *os.Root }

func openLocal(path string) (tree, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, failure.Wrap(failure.NotFound, storing, fmt.Errorf("base directory: %w", err), "Correct base_directories, or mount the directory on the worker.")
	}
	return local{root}, nil
}

func (l local) close() { _ = l.root.Close() }

// open leaves it to the root that no link leads outside.
func (l local) open(relative string) (io.ReadCloser, fs.FileInfo, error) {
	file, err := l.root.OpenFile(relative, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait for its other end
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errIrregular
	}
	if err != nil {
		_ = posixlock.CloseFile(file)
		return nil, nil, err
	}
	return localFile{file}, info, nil
}

// localFile may be a database that SQLite has open in this process.
type localFile struct{ *os.File }

func (f localFile) Close() error { return posixlock.CloseFile(f.File) }

// ownerOf is who owns a file, 0 where that is not known.
func ownerOf(info fs.FileInfo) (uid, gid int) {
	switch owner := info.Sys().(type) {
	case *syscall.Stat_t:
		return int(owner.Uid), int(owner.Gid)
	case *sftp.FileStat:
		return int(owner.UID), int(owner.GID)
	}
	return 0, 0
}
