package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/pkg/sftp"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/ssh/link"
)

// Get opens the file and begins to read at the offset.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	const op = "get object"
	if err := storage.CheckKey(op, key); err != nil {
		return nil, err
	}
	r := &reader{ctx: ctx, store: s, key: key, at: offset}
	if err := r.open(); err != nil {
		return nil, s.classify(op, key, err)
	}
	length, err := storage.CheckRange(op, key, offset, length, r.size)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	r.next, r.end = offset, offset+length
	r.fill()
	return r, nil
}

// lookAt describes the regular file at key without following links.
func (s *Store) lookAt(c *link.Conn, key string) (fs.FileInfo, error) {
	var info fs.FileInfo
	var parentsErr, err error
	atOnce(func() { parentsErr = s.checkParents(c, key) }, func() { info, err = c.Lstat(s.path(key)) })
	switch {
	case parentsErr != nil:
		return nil, parentsErr
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, linkError(key)
	case !info.Mode().IsRegular():
		return nil, fs.ErrNotExist
	}
	return info, nil
}

// Stat describes the file.
func (s *Store) Stat(ctx context.Context, key string) (object storage.Object, err error) {
	const op = "stat object"
	if err := storage.CheckKey(op, key); err != nil {
		return storage.Object{}, err
	}
	err = s.link.Do(ctx, func(c *link.Conn) error {
		info, err := s.lookAt(c, key)
		if err == nil {
			object = storage.Object{Key: key, Size: info.Size(), ModTime: info.ModTime()}
		}
		return err
	})
	return object, s.classify(op, key, err)
}

const (
	// readAhead is how many bytes of one object may be under way from the server.
	readAhead = 4 << 20
	// minBlock is the least that is asked for at once; larger ones are split into packets by the library.
	minBlock = 256 << 10
	// maxReopens is how often a read goes on with a new connection without having got a byte.
	maxReopens = 8
)

// reader reads a range of a file with several requests under way. If the connection breaks, it goes on
// with another one where it was, provided that the file is still the same.
type reader struct {
	ctx   context.Context
	store *Store
	key   string

	file    *sftp.File
	conn    *link.Conn
	opened  bool
	size    int64
	modTime time.Time

	at      int64 // what Read gives next
	next    int64 // what is asked for next
	end     int64
	blocks  []*block // asked for, in order
	current []byte   // what came and was not given yet
	reopens int
	failed  error // what Read said: it says so again
	closed  bool
}

// block is one piece of the file.
type block struct {
	data []byte
	err  error
	done chan struct{}
}

// open opens the file, and after the first time makes sure that it is the one that was being read.
func (r *reader) open() error {
	return r.store.link.Do(r.ctx, func(c *link.Conn) error {
		// Look first: opening a FIFO that somebody placed there would block the whole session.
		if _, err := r.store.lookAt(c, r.key); err != nil {
			return err
		}
		file, err := c.Open(r.store.path(r.key))
		if err != nil {
			return err
		}
		// The size of what was opened, not of what may have been replaced since.
		info, err := file.Stat()
		if err != nil {
			return errors.Join(err, file.Close())
		}
		if r.opened && (info.Size() != r.size || !info.ModTime().Equal(r.modTime)) {
			return errors.Join(failure.New(failure.Unknown, "", r.key+": the object was replaced while it was read and the connection broke", ""), file.Close())
		}
		c.Hold()
		r.conn, r.file, r.size, r.modTime, r.opened = c, file, info.Size(), info.ModTime(), true
		return nil
	})
}

// fill asks for what may be under way.
func (r *reader) fill() {
	step := int64(r.conn.Packet)
	if step < minBlock/2 {
		step = minBlock
	}
	for int64(len(r.blocks))*step < readAhead && r.next < r.end {
		b := &block{data: make([]byte, min(step, r.end-r.next)), done: make(chan struct{})}
		file, offset := r.file, r.next
		go func() {
			defer close(b.done)
			var n int
			n, b.err = file.ReadAt(b.data, offset)
			if n == len(b.data) {
				b.err = nil
			}
		}()
		r.next += int64(len(b.data))
		r.blocks = append(r.blocks, b)
	}
}

// Read ends with the context.
func (r *reader) Read(p []byte) (int, error) {
	for len(r.current) == 0 {
		if err := r.ctx.Err(); err != nil {
			return 0, err
		}
		if r.at == r.end {
			return 0, io.EOF
		}
		if r.closed {
			return 0, fs.ErrClosed
		}
		if r.failed != nil {
			return 0, r.failed
		}
		if err := r.receive(); err != nil {
			r.failed = r.store.classify("get object", r.key, err)
			return 0, r.failed
		}
	}
	n := copy(p, r.current)
	r.current = r.current[n:]
	r.at += int64(n)
	r.reopens = 0
	return n, nil
}

// receive waits for the next block.
func (r *reader) receive() error {
	r.fill()
	first := r.blocks[0]
	select {
	case <-first.done:
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
	switch {
	case first.err == nil:
		r.current, r.blocks = first.data, r.blocks[1:]
		return nil
	case first.err == io.EOF: //nolint:errorlint // bare, it is the server's answer; wrapped, the connection's end
		return failure.Wrap(failure.Unknown, "", fmt.Errorf("the object ended before its %d bytes: %w", r.size, io.ErrUnexpectedEOF), "")
	case !r.conn.Lost(first.err) || r.reopens == maxReopens:
		return first.err
	}
	r.reopens++
	r.conn.Break()
	r.drop()
	r.next = r.at
	return r.open()
}

// drop gives up the file. What was asked for still comes, so the rest happens behind it.
func (r *reader) drop() {
	file, conn, blocks := r.file, r.conn, r.blocks
	r.file, r.conn, r.blocks = nil, nil, nil
	if file == nil {
		return
	}
	go func() {
		defer conn.Release()
		for _, b := range blocks {
			<-b.done
		}
		_ = file.Close() // it was only read
	}()
}

// Close gives up what is under way.
func (r *reader) Close() error {
	r.closed, r.current = true, nil
	r.drop()
	return nil
}
