package postgres

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine/process"
)

// growing is a file that pg_dump writes and that is read at the same time. What was read is given
// back to the file system at once.
type growing struct {
	name  string
	path  string
	file  *os.File
	meter *process.Meter

	size   atomic.Int64 // as last seen
	read   atomic.Int64
	closed atomic.Bool // by pg_dump: it grows no more
	ended  chan struct{}
	ofRows func(file string, rows int64) // told at the end of a table; may be nil

	lines int64  // line breaks read; for the reader only
	freed int64  // bytes given back; for the reader only
	tail  []byte // the last bytes read
}

const (
	// A reader waits for this much, or for so long, so that it is not woken for every row.
	gatherBytes = 256 << 10
	gatherTime  = 4 * time.Millisecond
	// freeBytes is how much is given back at a time.
	freeBytes = 4 << 20
)

// endMark ends the data of every table.
const endMark = "\\.\n\n\n"

func openGrowing(dir, name string, meter *process.Meter) (*growing, error) {
	path := filepath.Join(dir, name)
	file, err := os.OpenFile(path, os.O_RDWR, 0) // to give space back one has to be able to write
	if err != nil {
		return nil, tempFailure(err)
	}
	return &growing{name: name, path: path, file: file, meter: meter, ended: make(chan struct{})}, nil
}

// look updates the size.
func (g *growing) look() int64 {
	if info, err := g.file.Stat(); err == nil {
		g.size.Store(info.Size())
	}
	return g.size.Load()
}

// finish says that it grows no more. It may be called again.
func (g *growing) finish() {
	g.look()
	if g.closed.CompareAndSwap(false, true) {
		close(g.ended)
	}
}

// unread is how many bytes of it nobody has read yet.
func (g *growing) unread() int64 { return max(0, g.size.Load()-g.read.Load()) }

// remove closes the file and gives all of it back.
func (g *growing) remove() {
	_ = g.file.Close()
	_ = os.Remove(g.path)
	g.read.Store(g.size.Load())
}

// reader reads it from its beginning until it grows no more, or ctx ends.
func (g *growing) reader(ctx context.Context) io.Reader { return &growingReader{g: g, ctx: ctx} }

type growingReader struct {
	g   *growing
	ctx context.Context //nolint:containedctx // the stream's own
}

func (r *growingReader) Read(p []byte) (int, error) {
	for {
		if r.ctx.Err() != nil {
			return 0, context.Cause(r.ctx)
		}
		g := r.g
		closed := g.closed.Load() // before the file is looked at: what it has then is all
		have := g.look() - g.read.Load()
		if !closed && have < gatherBytes {
			r.wait()
			have = g.look() - g.read.Load()
		}
		if have > 0 {
			n, err := g.file.ReadAt(p[:min(int64(len(p)), have)], g.read.Load())
			g.took(p[:n])
			if err != nil && !errors.Is(err, io.EOF) {
				return n, tempFailure(err)
			}
			if n > 0 {
				return n, nil
			}
		}
		if closed {
			return 0, g.atEnd()
		}
	}
}

func (r *growingReader) wait() {
	timer := time.NewTimer(gatherTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.g.ended:
	case <-r.ctx.Done():
	}
}

// took counts what was read, and gives it back.
func (g *growing) took(p []byte) {
	g.meter.Add(len(p))
	g.lines += int64(bytes.Count(p, []byte{'\n'}))
	read := g.read.Add(int64(len(p)))
	g.tail = append(g.tail, p[max(0, len(p)-len(endMark)):]...)
	g.tail = g.tail[max(0, len(g.tail)-len(endMark)):]
	if read-g.freed >= freeBytes {
		// A file system that can not do it keeps the whole file until it is removed.
		_ = unix.Fallocate(int(g.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, g.freed, read-g.freed)
		g.freed = read
	}
}

// atEnd is io.EOF if the file ends as it has to.
func (g *growing) atEnd() error {
	if tableFile.MatchString(g.name) && string(g.tail) != endMark {
		return damaged(errCutShort)
	}
	if g.ofRows != nil && tableFile.MatchString(g.name) {
		g.ofRows(g.name, g.lines-endLines)
	}
	return io.EOF
}
