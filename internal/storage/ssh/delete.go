package ssh

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"

	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/ssh/link"
)

// Delete removes the file and the directories that it leaves empty. What is not there is for Sync to make
// durable too: who deleted it may not have come to that.
func (s *Store) Delete(ctx context.Context, key string) error {
	const op = "delete object"
	if err := errors.Join(storage.CheckKey(op, key), ctx.Err()); err != nil {
		return err
	}
	freed, err := s.delete(ctx, key)
	if err != nil {
		return s.classify(op, key, err)
	}
	s.usage.add(-freed)
	if s.fresh.crowded() {
		return s.Sync(ctx)
	}
	return nil
}

// delete returns how many bytes it freed, and notes that it has to be made durable.
func (s *Store) delete(ctx context.Context, key string) (freed int64, err error) {
	s.fresh.changing.RLock()
	defer s.fresh.changing.RUnlock()
	losses := s.link.Losses()
	err = s.link.Do(ctx, func(c *link.Conn) error {
		size, err := s.remove(c, key)
		freed = max(freed, size) // a try that broke may have removed it
		return err
	})
	if err == nil {
		s.fresh.add(key, &freshObject{gone: true, losses: losses})
	}
	return freed, err
}

// remove returns how many bytes the object had.
func (s *Store) remove(c *link.Conn, key string) (int64, error) {
	var info fs.FileInfo
	var parentsErr, err error
	atOnce(func() { parentsErr = s.checkParents(c, key) }, func() { info, err = c.Lstat(s.path(key)) })
	if parentsErr != nil && !missing(parentsErr) {
		return 0, parentsErr
	}
	if missing(parentsErr) || missing(err) || err == nil && info.IsDir() {
		return 0, nil
	}
	if err == nil {
		err = c.Remove(s.path(key))
	}
	if err != nil && !missing(err) {
		return 0, err
	}
	s.removeEmpty(c, key)
	if info == nil || !info.Mode().IsRegular() {
		return 0, nil
	}
	return info.Size(), nil
}

// removeEmpty removes the directories that the object at key left empty.
func (s *Store) removeEmpty(c *link.Conn, key string) {
	for dir := path.Dir(key); dir != "."; dir = path.Dir(dir) {
		if c.RemoveDirectory(s.path(dir)) != nil { // not empty, or somebody else was faster
			return
		}
		s.dirs.forget(dir)
	}
}

// Copy reads from and puts to: the bytes pass through here, because pkg/sftp can not ask for OpenSSH's
// copy-data.
func (s *Store) Copy(ctx context.Context, from, to string) error {
	const op = "copy object"
	if err := errors.Join(storage.CheckKey(op, from), storage.CheckKey(op, to)); err != nil {
		return err
	}
	if from == to {
		return s.adopt(ctx, from)
	}
	source := &rereadable{ctx: ctx, store: s, key: from}
	first, err := s.Get(ctx, from, 0, -1)
	if err != nil {
		return err
	}
	source.body = first
	defer source.close()
	return s.Put(ctx, to, source, first.(*reader).size)
}

// rereadable is the body of a copy: Put may rewind it.
type rereadable struct {
	ctx   context.Context
	store *Store
	key   string
	body  io.ReadCloser
	given int64
}

// Read reads the object.
func (r *rereadable) Read(p []byte) (n int, err error) {
	if r.body == nil {
		if r.body, err = r.store.Get(r.ctx, r.key, r.given, -1); err != nil {
			return 0, err
		}
	}
	n, err = r.body.Read(p)
	r.given += int64(n)
	return n, err
}

// Seek tells where it is and goes back to where it was.
func (r *rereadable) Seek(offset int64, whence int) (int64, error) {
	switch {
	case whence == io.SeekCurrent && offset == 0:
	case whence == io.SeekStart:
		r.close()
		r.given = offset
	default:
		return 0, errors.ErrUnsupported
	}
	return r.given, nil
}

func (r *rereadable) close() {
	if r.body != nil {
		_ = r.body.Close() // it was only read
		r.body = nil
	}
}
