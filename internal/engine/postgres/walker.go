package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// magic begins every archive in pg_dump's custom format.
const magic = "PGDMP"

// errCutShort is an archive that ends where it must not.
var errCutShort = errors.New("the dump ends too early")

// summary is what walking an archive found.
type summary struct {
	tables int         // entries TABLE DATA in its table of contents
	blocks []dataBlock // in the order of the archive; none in toc.dat
	known  bool        // its version is one whose structure is known, so the end was checked

	names map[int]string // the table of each block with rows, by dump id
}

// walker follows the structure of a custom-format archive that is written to it piece by piece, in
// constant memory. The format has no end marker, and pg_dump -Fc on a pipe leaves no offsets in the
// table of contents: the only way to see that a dump is whole is to walk every block and find as
// many as the table of contents promises. A dump cut at any byte is an error of class Corrupt.
type walker struct {
	pending []byte // what the last Write brought and parse has not looked at yet
	passed  int64  // bytes written up to the end of pending
	copied  *bytes.Buffer
	starts  []int64 // offsets of the blocks that begin in what the last Write brought
	lines   bool    // whether the line breaks of each block are counted
	eof     bool
	resume  func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	found   summary
	err     error
	done    bool
}

func newWalker() *walker { return newWalkerOf(walkArchive) }

func newWalkerOf(walk func(*walker) (summary, error)) *walker {
	w := &walker{}
	w.resume, w.stop = iter.Pull(func(yield func(struct{}) bool) {
		w.yield = yield
		w.found, w.err = walk(w)
		w.done = true
	})
	return w
}

// Write looks at p and keeps nothing of it.
func (w *walker) Write(p []byte) (int, error) {
	w.starts = w.starts[:0]
	if !w.done {
		w.pending = p
		w.passed += int64(len(p))
		w.resume()
		w.pending = nil
	}
	return len(p), w.err
}

// Close says that the archive ended and tells whether it was whole. Without a call to Close, call
// stop.
func (w *walker) Close() (summary, error) {
	w.eof = true
	if !w.done {
		w.resume()
	}
	w.stop()
	if w.err != nil {
		return w.found, failure.Wrap(failure.Corrupt, "check the structure of the dump", w.err, "The dump is damaged; restore another backup.")
	}
	return w.found, nil
}

// fill waits for bytes; false is the end.
func (w *walker) fill() bool {
	for len(w.pending) == 0 {
		if w.eof || !w.yield(struct{}{}) {
			return false
		}
	}
	return true
}

// position is the offset of the next byte.
func (w *walker) position() int64 { return w.passed - int64(len(w.pending)) }

// use takes n bytes of pending, and keeps a copy of them where one is wanted.
func (w *walker) use(n int) []byte {
	part := w.pending[:n]
	if w.copied != nil {
		w.copied.Write(part)
	}
	w.pending = w.pending[n:]
	return part
}

// ReadByte takes one byte.
func (w *walker) ReadByte() (byte, error) {
	if !w.fill() {
		return 0, errCutShort
	}
	return w.use(1)[0], nil
}

// take reads n bytes; n is small.
func (w *walker) take(n int) ([]byte, error) {
	out := make([]byte, 0, n)
	for len(out) < n {
		if !w.fill() {
			return nil, errCutShort
		}
		part := min(n-len(out), len(w.pending))
		out = append(out, w.use(part)...)
	}
	return out, nil
}

// skip passes over n bytes.
func (w *walker) skip(n int) error {
	for n > 0 {
		if !w.fill() {
			return errCutShort
		}
		n -= len(w.use(min(n, len(w.pending))))
	}
	return nil
}

// atEnd reports whether nothing follows.
func (w *walker) atEnd() bool { return !w.fill() }

// walked passes a stream through a walker: the last Read gives the walker's error instead of
// io.EOF when the archive is not whole.
type walked struct {
	r io.Reader
	w *walker
	// found is set once Read returned io.EOF; atEnd is told of it before, and may be nil.
	found summary
	atEnd func(summary)
}

func (s *walked) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if n > 0 {
		if _, walkErr := s.w.Write(p[:n]); walkErr != nil {
			_, walkErr = s.w.Close()
			return 0, walkErr
		}
	}
	if errors.Is(err, io.EOF) {
		var walkErr error
		if s.found, walkErr = s.w.Close(); walkErr != nil {
			return 0, walkErr
		}
		if s.atEnd != nil {
			s.atEnd(s.found)
		}
	}
	return n, err
}

// Parts are the offsets of the blocks, each the rows of a table or large objects, that begin in what the last Read gave: the
// archive ends chunks there (archive.Parted).
func (s *walked) Parts() []int64 { return s.w.starts }

// WriteTo is Read up to the end, without a copy where the stream can show what it has.
func (s *walked) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(alongside{s.w, w}, s.r)
	var walkErr error
	switch {
	case s.w.err != nil:
		_, walkErr = s.w.Close()
	case err == nil:
		if s.found, walkErr = s.w.Close(); walkErr == nil && s.atEnd != nil {
			s.atEnd(s.found)
		}
	}
	if walkErr != nil {
		return n, walkErr
	}
	return n, err
}

// alongside shows a walker what is written, first.
type alongside struct {
	w  *walker
	to io.Writer
}

func (a alongside) Write(p []byte) (int, error) {
	if _, err := a.w.Write(p); err != nil {
		return 0, err
	}
	return a.to.Write(p)
}

var errBadArchive = errors.New("not a pg_dump archive")

// badArchive is a structure that pg_dump does not write.
func badArchive(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errBadArchive}, args...)...)
}
