package ssh

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pkg/sftp"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/ssh/link"
)

const (
	rightsHint = "Give the server's user read, write and search rights on the directory and what is in it."
	causeHint  = "SFTP gives no reason. Look at the server: a quota of the user, a disk error, or a limit of the file system."
)

// The codes of SSH_FXP_STATUS that SFTP servers give for what has no code of its own.
const (
	statusFailure     = 4
	statusBadMessage  = 5
	statusUnsupported = 8
)

// classify turns an answer of the server into an error that says what to do. Errors that are
// classified already, and the context's, keep their class.
func (s *Store) classify(op, key string, err error) error {
	var known *failure.Error
	var status *sftp.StatusError
	at := fmt.Errorf("%s: %s: %w", s.link.Address(), key, err)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return failure.Wrap(known.Class, op, err, "")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case missing(err):
		return storage.NotFoundError(op, key)
	case errors.Is(err, fs.ErrPermission):
		return failure.Wrap(failure.AuthFailed, op, at, rightsHint)
	case !errors.As(err, &status):
		return failure.Wrap(failure.Unknown, op, at, "")
	case status.Code == statusBadMessage:
		return failure.Wrap(failure.ConfigInvalid, op, at, "The server does not take this name; its file system may not allow names of this length.")
	case status.Code == statusUnsupported:
		return failure.Wrap(failure.Unsupported, op, at, "Use a server with OpenSSH's SFTP server.")
	default:
		return failure.Wrap(failure.Unknown, op, at, causeHint)
	}
}

// classifyPut knows that a Put misses no object: what is not there is the root itself, and what is
// not a directory is an object whose name is the beginning of the key.
func (s *Store) classifyPut(op, key string, err error) error {
	var known *failure.Error
	switch {
	case errors.As(err, &known):
	case errors.Is(err, errNotDirectory):
		return failure.Wrap(failure.ConfigInvalid, op, err, nameHint)
	case errors.Is(err, fs.ErrNotExist):
		return s.rootGone(op, err)
	}
	return s.classify(op, key, err)
}

func (s *Store) rootGone(op string, err error) error {
	return failure.Wrap(failure.ConfigInvalid, op, fmt.Errorf("%s: %s: %w", s.link.Address(), s.root, err),
		"The storage directory was removed or unmounted; put it back.")
}

// explain finds out why the server refused to write size bytes to key, where its answer does not say.
// It must be called before what was written of the object is removed.
func (s *Store) explain(c *link.Conn, op, key string, size int64, err error) error {
	var status *sftp.StatusError
	if !errors.As(err, &status) || status.Code != statusFailure {
		return err
	}
	text := strings.ToLower(err.Error())
	if strings.Contains(text, "quota") || strings.Contains(text, "no space") || strings.Contains(text, "disk full") {
		return storage.FullError(op, key, err.Error())
	}
	if info, statErr := c.Lstat(s.path(key)); statErr == nil && info.IsDir() {
		return failure.Wrap(failure.ConfigInvalid, op, fmt.Errorf("%s is a directory: %w", key, err), nameHint)
	}
	if !c.Has(statVFSExtension) {
		return err
	}
	disk, statErr := c.StatVFS(s.root)
	switch {
	case statErr != nil:
		return err
	case disk.Flag&readOnlyFlag != 0:
		return failure.Wrap(failure.ConfigInvalid, op, fmt.Errorf("%s: the file system of %s is mounted read-only: %w", s.link.Address(), s.root, err),
			"Remount it on the server or choose another directory.")
	case int64(disk.Bavail*disk.Frsize) < size+spareBytes, disk.Files > 0 && disk.Favail == 0:
		return storage.FullError(op, key, fmt.Sprintf("%s has %d bytes and %d inodes free for %d bytes",
			s.link.Address(), disk.Bavail*disk.Frsize, disk.Favail, size))
	default:
		return err
	}
}

const (
	statVFSExtension = "statvfs@openssh.com"
	readOnlyFlag     = 1       // f_flag of statvfs@openssh.com: SSH_FXE_STATVFS_ST_RDONLY
	spareBytes       = 1 << 20 // a file system needs some for directories and its own tables
)
