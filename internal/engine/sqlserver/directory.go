package sqlserver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

const (
	// filePrefix and fileSuffix are of every file that passes between server and worker. Nothing else
	// in the directory is ever touched.
	filePrefix = "dataguardian_"
	fileSuffix = ".bak"
	// leftoverAge is how old a file of ours has to be until it is what a killed worker left: longer than
	// it takes to stream one that another worker still reads.
	leftoverAge = 48 * time.Hour
	// shareRetry is how often a share is asked again; see Options.ShareDelay.
	shareRetry = 100 * time.Millisecond
	// fileMode lets the server's account read what is restored if it is in the directory's group.
	fileMode = 0o640
)

// directory is where the server writes backups and reads them, seen from both sides.
type directory struct {
	root   *os.Root
	worker string // its path on the worker, for messages
	server string // its path on the server
	delay  time.Duration
}

func (e *Engine) openDirectory(cfg domain.ConnectionConfig) (*directory, error) {
	const hint = "worker_directory has to be the server's backup_directory as this worker sees it; mount it, and let the worker read, write and delete there."
	root, err := os.OpenRoot(cfg.WorkerDirectory)
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, fmt.Sprintf("open worker_directory %q", cfg.WorkerDirectory), err, hint)
	}
	return &directory{root: root, worker: cfg.WorkerDirectory, server: cfg.BackupDirectory, delay: e.shareDelay}, nil
}

func (d *directory) close() { _ = d.root.Close() }

// newName makes the name of a file that nobody else has.
func (d *directory) newName() string {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails
	return filePrefix + hex.EncodeToString(random) + fileSuffix
}

// onServer is a file's path for a statement.
func (d *directory) onServer(name string) string { return join(d.server, name) }

// removeLeftovers removes files that a worker left which was killed.
func (d *directory) removeLeftovers(now time.Time) {
	listing, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return // what can not be listed is found out when it is needed
	}
	for _, entry := range listing {
		if !strings.HasPrefix(entry.Name(), filePrefix) || !strings.HasSuffix(entry.Name(), fileSuffix) {
			continue
		}
		info, err := entry.Info()
		if err == nil && info.Mode().IsRegular() && now.Sub(info.ModTime()) > leftoverAge {
			_ = d.root.Remove(entry.Name()) // the next run tries again
		}
	}
}

// remove removes a file, also when ctx has ended. The server may hold a file of a cancelled backup for
// a moment more. What can not be removed is told in the warning.
func (d *directory) remove(ctx context.Context, name string) (warning string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.delay)
	defer cancel()
	for {
		err := d.root.Remove(name)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return ""
		}
		if pause(ctx, shareRetry) != nil {
			return fmt.Sprintf("file %s could not be removed from worker_directory %q and may hold data: remove it, and let the worker delete there. The reason: %s", name, d.worker, err)
		}
	}
}

// open opens what the server wrote: at least size bytes of it have to be there.
func (d *directory) open(ctx context.Context, name string, size int64) (*os.File, int64, error) {
	op := fmt.Sprintf("open file %s in worker_directory %q", name, d.worker)
	waiting, cancel := context.WithTimeout(ctx, d.delay)
	defer cancel()
	for {
		file, found, err := d.tryOpen(name)
		if err == nil && found >= size {
			return file, found, nil
		}
		if err == nil {
			_ = file.Close()
			err = failure.New(failure.Corrupt, op, fmt.Sprintf("it has %d bytes, but the server wrote a backup of %d", found, size),
				"Check that worker_directory shows what the server writes at once; shares may delay it.")
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, 0, failure.Wrap(failure.ConfigInvalid, op, err, "Let the worker's account read the files that the server writes: a common group and a default ACL of the directory do it.")
		}
		if pause(waiting, shareRetry) == nil {
			continue
		}
		if ctx.Err() != nil {
			return nil, 0, failure.Wrap(failure.ClassOf(ctx.Err()), op, ctx.Err(), "")
		}
		return nil, 0, failure.Wrap(failure.ConfigInvalid, op, err,
			fmt.Sprintf("The server wrote it into %q; worker_directory has to be the same directory.", d.server))
	}
}

func (d *directory) tryOpen(name string) (*os.File, int64, error) {
	file, err := d.root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		_ = file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// sign changes while the server writes the file.
func (d *directory) sign(name string) string {
	info, err := d.root.Stat(name)
	if err != nil {
		return ""
	}
	return fmt.Sprint(info.Size(), info.ModTime().UnixNano())
}

// write makes a file for the server to read and returns its size.
func (d *directory) write(name string, r io.Reader) (int64, error) {
	op := fmt.Sprintf("write file %s into worker_directory %q", name, d.worker)
	file, err := d.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return 0, writeFailure(op, err)
	}
	// The umask may have taken the group's right away, which the server needs.
	if err := file.Chmod(fileMode); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) {
		_ = file.Close()
		return 0, writeFailure(op, err)
	}
	n, err := io.Copy(diskWriter{file, op}, r)
	if closeErr := file.Close(); err == nil && closeErr != nil {
		err = writeFailure(op, closeErr)
	}
	return n, err
}

// diskWriter classifies its errors, so that they differ from those of what is read.
type diskWriter struct {
	file *os.File
	op   string
}

func (w diskWriter) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	return n, writeFailure(w.op, err)
}

func writeFailure(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return failure.Wrap(failure.StorageFull, op, err, "Free space in worker_directory: a restore needs as much there as the backup has bytes.")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return failure.Wrap(failure.ConfigInvalid, op, err, "Let the worker write and delete in worker_directory.")
	}
	return failure.Wrap(failure.Unknown, op, err, "")
}
