package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/posixlock"
)

const (
	// packBytes is when a pack is full. Packs are what a later backup keeps or reads again: some chunks each.
	packBytes = 3 << 19
	// largeBytes is the size of files that are a pack of their own.
	largeBytes = 1 << 19
)

// job is a pack that is to be read: small files, which are read whole into memory by one of several
// goroutines, or one large file, which is streamed.
type job struct {
	entries []*entry
	large   bool
	arena   []byte        // that buffer began in
	done    chan struct{} // closed when buffer or err is there
	buffer  []byte
	err     error
}

// jobsOf groups entries in their order.
func jobsOf(ctx context.Context, pending []*entry, emit func(*job) bool) {
	current, bytes := &job{done: make(chan struct{})}, int64(0)
	for _, e := range pending {
		if ctx.Err() != nil {
			return
		}
		if e.kind == kindFile && e.size >= largeBytes {
			if !emit(&job{entries: []*entry{e}, large: true, done: make(chan struct{})}) {
				return
			}
			continue
		}
		current.entries = append(current.entries, e)
		if bytes += padded(e.size) + 2*blockSize; bytes >= packBytes {
			if !emit(current) {
				return
			}
			current, bytes = &job{done: make(chan struct{})}, 0
		}
	}
	if len(current.entries) > 0 {
		emit(current)
	}
}

// read fills the buffer of a job of small files. Entries that are gone get the kind 0.
func (j *job) read(ctx context.Context, t *tree, warn *warnings) {
	defer close(j.done)
	j.buffer = j.arena[:0]
	for _, e := range j.entries {
		if j.err = ctx.Err(); j.err != nil {
			return
		}
		before := len(j.buffer)
		var err error
		if e.kind == kindSymlink {
			err = j.appendLink(t, e, warn)
		} else {
			err = j.appendFile(t, e, warn)
		}
		if err == nil {
			e.place.offset = int64(before)
			continue
		}
		j.buffer = j.buffer[:before]
		if !passing(err) {
			j.err = classify("read "+t.path+"/"+printable(e.path()), err)
			return
		}
		drop(e, err, warn)
	}
}

// drop leaves an entry out that can not be read.
func drop(e *entry, err error, warn *warnings) {
	e.kind = 0
	if errors.Is(err, os.ErrNotExist) {
		warn.add(e.path(), "it vanished before it was read and is not in the backup")
		return
	}
	warn.add(e.path(), "it could not be read and is not in the backup: %v", err)
}

func (j *job) appendLink(t *tree, e *entry, warn *warnings) error {
	attributes, err := attributesOf(-1, t.path+"/"+e.path())
	if err != nil {
		warn.add(e.path(), "its extended attributes could not be read: %v", err)
	}
	before := len(j.buffer)
	e.xattrs = attributesHash(attributes)
	if j.buffer, err = appendHeader(j.buffer, e, 0, attributes, nil); err != nil {
		return err
	}
	e.place.header, e.place.data = int32(len(j.buffer)-before), 0 //nolint:gosec // some KiB
	return nil
}

func (j *job) appendFile(t *tree, e *entry, warn *warnings) error {
	fd, err := t.openEntry(e)
	if err != nil {
		return err
	}
	defer func() { _ = posixlock.CloseDescriptor(fd) }()
	attributes, err := attributesOf(fd, "")
	if err != nil {
		warn.add(e.path(), "its extended attributes could not be read: %v", err)
	}
	e.xattrs = attributesHash(attributes)
	if e.size > 2*largeBytes { // it has just grown: its beginning is what was there
		e.size = largeBytes
		e.flags |= flagSuspect
		warn.add(e.path(), "it grew while it was read: its first %d bytes are in the backup", e.size)
	}
	before := len(j.buffer)
	if j.buffer, err = appendHeader(j.buffer, e, e.size, attributes, nil); err != nil {
		return err
	}
	e.place.header, e.place.data = int32(len(j.buffer)-before), e.size //nolint:gosec // some hundred KiB
	begin := len(j.buffer)
	j.buffer = append(j.buffer, make([]byte, padded(e.size))...)
	n, err := readFull(fd, j.buffer[begin:begin+int(e.size)])
	if err != nil {
		return err
	}
	if e.flags&flagSuspect == 0 && !settled(e, fd, time.Now().UnixNano()) || n < int(e.size) {
		e.flags |= flagSuspect
		warn.add(e.path(), "%s", changedWhileRead(int64(n), e.size))
	}
	return nil
}

func changedWhileRead(read, size int64) string {
	if read < size {
		return fmt.Sprintf("it became shorter while it was read: zeros stand for its last %d bytes", size-read)
	}
	return "it was written to while it was read: the backup may hold a mixture"
}

// readFull reads up to the end of the file, or until the buffer is full.
func readFull(fd int, into []byte) (n int, err error) {
	for n < len(into) {
		read, err := unix.Read(fd, into[n:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || read == 0 {
			return n, err
		}
		n += read
	}
	return n, nil
}
