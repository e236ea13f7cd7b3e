package ssh

import (
	"context"
	"errors"
	"io/fs"

	"github.com/pkg/sftp"
	"golang.org/x/sync/errgroup"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage/ssh/link"
)

// maxSettles is how often a Sync starts again because connections broke while it was at work.
const maxSettles = 3

// settle repeats what Sync did for as long as connections broke meanwhile: a server that crashed after it
// had saved a file, and before it saved the directory, has the content without the name. Every connection
// is asked for a sign of life first: what Sync did went over some of them, and what was put may have come
// over another one, whose server crashed and started again unnoticed.
func (s *Store) settle(ctx context.Context, objects map[string]*freshObject, dirs []string, losses int64) error {
	const op = "sync storage"
	if len(objects) == 0 {
		return nil
	}
	for attempt := 0; ; attempt++ {
		if err := s.link.Probe(ctx); err != nil {
			return err
		}
		now := s.link.Losses()
		if now == losses {
			return nil
		}
		if attempt == maxSettles {
			return failure.New(failure.Unreachable, op, "the connections to "+s.link.Address()+" break while objects are made durable",
				"Look for what ends them: the network, or a server that restarts.")
		}
		losses = now
		again, againCtx := errgroup.WithContext(ctx)
		again.SetLimit(syncsAtOnce)
		for key, object := range objects {
			again.Go(func() error { return s.classify(op, key, s.syncObject(againCtx, key, object)) })
		}
		if err := again.Wait(); err != nil {
			return errors.Join(ctx.Err(), err)
		}
		if err := s.syncDirs(ctx, dirs); err != nil {
			return s.classify(op, s.root, err)
		}
	}
}

// checkGone looks whether a deleted object came back with a server that crashed and forgot the deletion.
func (s *Store) checkGone(c *link.Conn, key string, object *freshObject) error {
	if s.link.Losses() == object.losses {
		return nil
	}
	info, err := c.Lstat(s.path(key))
	switch {
	case missing(err), err == nil && info.IsDir():
		return nil
	case err != nil:
		return err
	}
	return errReturned
}

// errReturned is an object that is on the server though it was deleted.
var errReturned = errors.New("the object was deleted and is there again")

// dirSyncError tells a directory that could not be saved from one that can not be: OpenSSH has codes of
// their own for what a file system does not support or allow, and FAILURE for a disk error.
func dirSyncError(err error) error {
	var status *sftp.StatusError
	switch {
	case errors.As(err, &status) && status.Code != statusFailure, errors.Is(err, fs.ErrPermission), missing(err):
		return nil
	default:
		return err
	}
}
