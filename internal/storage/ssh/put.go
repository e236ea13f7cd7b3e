package ssh

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"time"

	"github.com/pkg/sftp"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/ssh/link"
)

const (
	posixRename = "posix-rename@openssh.com"
	// writeAhead is how many bytes of one upload may be under way to the server.
	writeAhead = 4 << 20
)

// Put writes body to a temporary file and renames it to key. If the connection breaks it starts again
// on another one, as long as the body can be rewound to where it stood.
func (s *Store) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	const op = "put object"
	if err := errors.Join(storage.CheckKey(op, key), storage.CheckSize(op, key, size)); err != nil {
		return err
	}
	source := &source{ctx: ctx, body: body, size: size, key: key}
	source.mark()
	var replaced int64
	err := s.link.Do(ctx, func(c *link.Conn) error {
		s.removeLeftovers(c)
		if err := source.rewind(); err != nil {
			return link.Final(err)
		}
		var err error
		replaced, err = s.put(c, key, source)
		if source.err != nil {
			return link.Final(source.err)
		}
		if c.Lost(err) {
			source.lost = err
		}
		return err
	})
	switch {
	case source.err != nil && ctx.Err() == nil: // the body's, whatever class that is
		return failure.Wrap(failure.ClassOf(source.err), op, source.err, failure.HintOf(source.err))
	case err != nil:
		return s.classifyPut(op, key, err)
	}
	s.usage.add(size - replaced)
	if s.fresh.crowded() {
		return s.Sync(ctx)
	}
	return nil
}

// put returns how many bytes the object held before.
func (s *Store) put(c *link.Conn, key string, body *source) (replaced int64, err error) {
	const op = "put object"
	temp := storage.Reserved + "/" + tempName()
	var file *sftp.File
	var parentsErr error
	atOnce(func() { parentsErr = s.checkParents(c, key) }, func() { file, err = s.createTemp(c, temp) })
	defer func() {
		if err == nil {
			return
		}
		if !c.Lost(err) && body.err == nil {
			err = s.explain(c, op, key, body.size, err)
		}
		s.discard(c, file, temp)
	}()
	if err != nil {
		return 0, err
	}
	if errors.Is(parentsErr, fs.ErrNotExist) {
		parentsErr = s.makeParents(c, key)
	}
	if parentsErr != nil && !errors.Is(parentsErr, fs.ErrNotExist) { // removed again by a Delete: rename makes it anew
		return 0, parentsErr
	}
	if err := body.writeTo(file, c.Packet); err != nil {
		return 0, err
	}
	replaced, err = s.finish(c, file, temp, key, body.size)
	if err != nil {
		return 0, err
	}
	if err := body.ctx.Err(); err != nil {
		return 0, err
	}
	return replaced, s.place(c, temp, key, body)
}

// finish closes the file, and looks at it and at what is there under key now: one round trip.
func (s *Store) finish(c *link.Conn, file *sftp.File, temp, key string, size int64) (replaced int64, err error) {
	var written, old os.FileInfo
	var closeErr, writtenErr, oldErr error
	atOnce(func() { closeErr = file.Close() }, func() { written, writtenErr = c.Lstat(s.path(temp)) },
		func() { old, oldErr = c.Lstat(s.path(key)) })
	if err := errors.Join(closeErr, writtenErr); err != nil {
		return 0, err
	}
	if written.Size() != size {
		return 0, failure.New(failure.Unknown, "", fmt.Sprintf("the server holds %d of the %d bytes that it confirmed", written.Size(), size), causeHint)
	}
	if oldErr == nil && old.Mode().IsRegular() {
		replaced = old.Size()
	}
	return replaced, nil
}

// place moves temp to key and notes that it has to be made durable.
func (s *Store) place(c *link.Conn, temp, key string, body *source) error {
	s.fresh.changing.RLock()
	defer s.fresh.changing.RUnlock()
	losses := s.link.Losses() // before: a server that crashes right after its answer may forget the object
	if err := s.rename(c, temp, key); err != nil {
		return err
	}
	s.fresh.add(key, &freshObject{size: body.size, sum: body.sum, losses: losses})
	return nil
}

// rename moves temp to key. Delete removes directories that it emptied, so one may vanish between the
// making of the directories and the move: then both are tried again.
func (s *Store) rename(c *link.Conn, temp, key string) error {
	const attempts = 100
	var err error
	for range attempts {
		if err = s.move(c, s.path(temp), s.path(key)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if _, err := c.Lstat(s.path(temp)); err != nil {
			return failure.Wrap(failure.Unknown, "", fmt.Errorf("the temporary file is gone: %w", err), "Let nobody else clean up the storage directory.")
		}
		for _, dir := range parents(key) {
			s.dirs.forget(dir)
		}
		if err = s.makeParents(c, key); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// move replaces to by from. SFTP's own rename refuses an existing target, which then has to be removed
// first: such a server has a moment without the object, and a crash in it loses the old one.
func (s *Store) move(c *link.Conn, from, to string) error {
	if c.Has(posixRename) {
		return c.PosixRename(from, to)
	}
	err := c.Rename(from, to)
	if err == nil || missing(err) || c.Lost(err) {
		return err
	}
	if info, statErr := c.Lstat(to); statErr != nil || info.IsDir() {
		return err
	}
	if removeErr := c.Remove(to); removeErr != nil && !missing(removeErr) {
		return err
	}
	return c.Rename(from, to)
}

// createTemp makes a new file in .tmp, and .tmp if it is not there yet. Only a name that was made for
// this upload is safe: what a broken connection had under way may still be written on the server.
func (s *Store) createTemp(c *link.Conn, temp string) (*sftp.File, error) {
	if !s.dirs.trusted(storage.Reserved) {
		if err := s.makeParents(c, temp); err != nil {
			return nil, err
		}
		if err := s.nameVolume(c); err != nil {
			return nil, err
		}
	}
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	file, err := c.OpenFile(s.path(temp), flags)
	if errors.Is(err, fs.ErrNotExist) {
		s.dirs.forget(storage.Reserved)
		if err = s.makeParents(c, temp); err == nil {
			file, err = c.OpenFile(s.path(temp), flags)
		}
	}
	return file, err
}

// tempName tells whoever looks when the upload began; the random part makes it unique.
func tempName() string {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // it never fails
	return fmt.Sprintf("%d-%s", time.Now().Unix(), hex.EncodeToString(random))
}

// discard removes a temporary file, or leaves it to the next connection.
func (s *Store) discard(c *link.Conn, file *sftp.File, temp string) {
	if file != nil {
		_ = file.Close() // closed already, or of no use
	}
	if err := c.Remove(s.path(temp)); err != nil && !missing(err) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leftovers[temp] = struct{}{}
	}
}

// removeLeftovers removes what broken connections left in .tmp. The old session may still be at work
// on the server: with its file gone it can not put it in place any more.
func (s *Store) removeLeftovers(c *link.Conn) {
	s.mu.Lock()
	left := s.leftovers
	s.leftovers = map[string]struct{}{}
	s.mu.Unlock()
	for temp := range left {
		s.discard(c, nil, temp)
	}
}

// removeStale removes what uploads that never finished left. Where this user may not write it stays:
// a location that may only be read can still be restored from.
func (s *Store) removeStale(ctx context.Context, c *link.Conn) error {
	err := s.checkDir(c, storage.Reserved)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	entries, err := c.ReadDirContext(ctx, s.path(storage.Reserved))
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.Mode().IsRegular() || time.Since(entry.ModTime()) < staleAfter || entry.Name() == path.Base(volumeFile) {
			continue
		}
		if err := c.Remove(s.path(storage.Reserved + "/" + entry.Name())); c.Lost(err) {
			return err
		}
	}
	return nil
}

// atOnce runs the functions side by side, so that what they ask the server shares a round trip.
func atOnce(functions ...func()) {
	var running sync.WaitGroup
	for _, f := range functions[1:] {
		running.Go(f)
	}
	functions[0]()
	running.Wait()
}
