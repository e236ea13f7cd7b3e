// Package ssh keeps objects as files below one directory of a server, over SFTP.
//
// An upload is written to a file in .tmp and renamed into place. Symbolic links below the directory are
// refused, not followed; see docs/decisions/0015-ssh.md for what SFTP lets nobody guarantee.
package ssh

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"sync"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/sshdial"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/ssh/link"
)

// UnknownHostKeyError is the cause of Open's refusal without a confirmed host key: it carries the key
// and the fingerprint to confirm.
type UnknownHostKeyError = sshdial.UnknownHostKeyError

// HostKeyChangedError is the cause of Open's refusal of a server that shows another key than the
// confirmed one.
type HostKeyChangedError = sshdial.HostKeyChangedError

// Options say which directory of which server.
type Options struct {
	link.Options
	Root    string // absolute path on the server; created (0700) if its parent exists
	Reading bool   // Open creates and removes nothing; a directory that is not there is NotFound
}

// OptionsOf gives the options of a location's settings.
func OptionsOf(c domain.StorageConfig) Options {
	return Options{Root: c.RemotePath, Options: link.Options{
		Host: c.Host, Port: c.Port, User: c.Username, Password: c.Password,
		PrivateKey: c.PrivateKey, Passphrase: c.Passphrase, HostKey: c.HostKey,
	}}
}

// staleAfter is how old a file in .tmp is when it must belong to a process that died: no upload of
// one object takes a day, and another worker may be uploading into the same directory now.
const staleAfter = 24 * time.Hour

// Store is a storage.Store on a directory of an SSH server.
type Store struct {
	link  *link.Pool
	root  string
	dirs  directories
	usage usage
	fresh unsynced

	naming sync.Mutex // of the volume

	mu        sync.Mutex
	leftovers map[string]struct{} // temporary files whose connection broke before they could be removed
}

var _ storage.Store = (*Store)(nil)

// Open connects, creates the directory if only its last element is missing, and removes what uploads
// of processes that died left in .tmp. It does not wait for a server that is away. Errors:
// ConfigInvalid for settings that can not work, with an *UnknownHostKeyError or *HostKeyChangedError
// inside if it is the host key; AuthFailed, Unreachable, Timeout.
func Open(ctx context.Context, opts Options) (*Store, error) {
	const op = "open ssh storage"
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !path.IsAbs(opts.Root) || path.Clean(opts.Root) == "/" {
		return nil, failure.New(failure.ConfigInvalid, op, "remote_path "+opts.Root+" is not an absolute path below /",
			"Give the storage location an absolute directory of its own on the server.")
	}
	pool, err := link.Open(ctx, opts.Options)
	if err != nil {
		return nil, err
	}
	s := &Store{link: pool, root: path.Clean(opts.Root), leftovers: map[string]struct{}{}}
	err = pool.Do(ctx, func(c *link.Conn) error {
		if err := s.makeRoot(c, opts.Reading); err != nil || opts.Reading {
			return err
		}
		return s.removeStale(ctx, c)
	})
	if err != nil {
		return nil, errors.Join(s.classify(op, s.root, err), s.Close())
	}
	return s, nil
}

// makeRoot creates the last element of the path only: a missing parent is more likely a typing error
// or a disk that is not mounted than a wish.
func (s *Store) makeRoot(c *link.Conn, reading bool) error {
	const op = "open ssh storage"
	info, err := c.Stat(s.root)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return failure.New(failure.ConfigInvalid, op, s.root+" is not a directory", "Give the storage location a directory of its own on the server.")
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case reading:
		return failure.New(failure.NotFound, op, "there is no directory "+s.root+" on the server",
			"Mount the disk that holds the backups on the server, or correct remote_path.")
	}
	parent := path.Dir(s.root)
	if _, err := c.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		return failure.New(failure.ConfigInvalid, op, "the parent directory of "+s.root+" does not exist on the server",
			"Create it, or mount the disk it is on.")
	}
	if err := c.Mkdir(s.root); err != nil {
		if info, statErr := c.Stat(s.root); statErr == nil && info.IsDir() {
			return nil // another worker was faster
		}
		return err
	}
	if err := c.Chmod(s.root, 0o700); err != nil && c.Lost(err) {
		return err // a server that keeps rights to itself has its own way to protect the directory
	}
	return syncDir(c, parent)
}

// path is where the object of a key is on the server.
func (s *Store) path(key string) string { return s.root + "/" + key }

// Close closes the connections.
func (s *Store) Close() error { return s.link.Close() }
