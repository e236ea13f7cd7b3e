package local

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// classify turns an error of the file system into one that says what to do. Errors that are
// classified already, and the context's, keep their class.
func classify(op, key string, err error) error {
	var known *failure.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case missing(err):
		return storage.NotFoundError(op, key)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return storage.FullError(op, key, err.Error())
	case errors.Is(err, syscall.EROFS):
		return failure.Wrap(failure.ConfigInvalid, op, err, "The file system is mounted read-only; remount it or choose another directory.")
	case errors.Is(err, fs.ErrPermission):
		return failure.Wrap(failure.AuthFailed, op, err, "Give the worker's user read, write and search rights on the directory and what is in it.")
	case errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, fs.ErrExist), errors.Is(err, syscall.ENAMETOOLONG):
		return failure.Wrap(failure.ConfigInvalid, op, err, "On a file system a name is either an object or a directory; choose another key.")
	case errors.Is(err, syscall.ESTALE), errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, syscall.EHOSTDOWN):
		return failure.Wrap(failure.Unreachable, op, err, "Check the network file system that holds the directory.")
	case errors.Is(err, syscall.ELOOP), strings.Contains(err.Error(), "escapes from parent"):
		// os.Root has no exported error for a symbolic link that leaves it.
		return failure.Wrap(failure.ConfigInvalid, op, err, "A symbolic link in the storage directory leads outside of it; remove the link.")
	default:
		return failure.Wrap(failure.Unknown, op, err, "")
	}
}

// classifyPut knows that a Put misses no object: what is not there is the root itself, and what is
// not a directory is an object whose name is the beginning of the key.
func classifyPut(op, key string, err error) error {
	var known *failure.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, syscall.ENOTDIR):
		return failure.Wrap(failure.ConfigInvalid, op, err, "On a file system a name is either an object or a directory; choose another key.")
	case errors.Is(err, fs.ErrNotExist):
		return failure.Wrap(failure.ConfigInvalid, op, err, "The storage directory was removed or unmounted; put it back.")
	default:
		return classify(op, key, err)
	}
}

// classifyRead knows what the disk says of a sector that it can not read any more: what was written
// there is lost, however often it is asked.
func classifyRead(op, key string, err error) error {
	if errors.Is(err, syscall.EIO) {
		return failure.Wrap(failure.Corrupt, op, err, "The disk can not read this object any more; look at its health, and restore the object from a copy.")
	}
	return classify(op, key, err)
}
