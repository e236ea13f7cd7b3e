package files

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Inspect reads a stream to its end. It counts the entries of the tar; those of the index are the same.
func (*Engine) Inspect(ctx context.Context, s engine.Stream, r io.Reader) (int, error) {
	source := &sourceReader{ctx: ctx, r: r}
	var count int
	var err error
	switch s.Format {
	case tarFormat:
		count, err = inspectTar(source)
	case indexFormat:
		err = inspectIndex(source)
	default:
		return 0, failure.New(failure.Unsupported, "inspect "+s.Name, "this version does not read the format "+s.Format, "")
	}
	if source.err != nil {
		return 0, source.err
	}
	return count, failure.Wrap(failure.Corrupt, "inspect "+s.Name, err, "Use another backup.")
}

func inspectIndex(r io.Reader) error {
	index, err := newIndexReader(r)
	var e entry
	for err == nil {
		err = index.next(&e)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// inspectTar wants the two blocks of zeros behind the last entry, and nothing after them.
func inspectTar(r io.Reader) (int, error) {
	buffered := bufio.NewReaderSize(&tailReader{r: r}, 256<<10)
	archive, count := tar.NewReader(buffered), 0
	for {
		_, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		count++
	}
	rest, err := io.Copy(io.Discard, buffered)
	if err != nil {
		return 0, err
	}
	if rest != 0 {
		return 0, errors.New("there is something behind the end of the archive")
	}
	return count, nil
}

// tailReader turns an end without the mark of one into an error. It holds the last bytes back to see it.
type tailReader struct {
	r    io.Reader
	tail []byte
	size int64
}

func (t *tailReader) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.size += int64(n)
	t.tail = append(t.tail, p[max(0, n-len(tarEnd)):n]...)
	t.tail = t.tail[max(0, len(t.tail)-len(tarEnd)):]
	if err == io.EOF && (t.size%blockSize != 0 || !bytes.Equal(t.tail, tarEnd[:])) { //nolint:errorlint // io.Reader's contract
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// sourceReader keeps an error of the reader, to tell it from damage.
type sourceReader struct {
	ctx context.Context //nolint:containedctx // of one call
	r   io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err == nil {
		err = s.ctx.Err()
	}
	if err != nil && err != io.EOF { //nolint:errorlint // io.Reader's contract
		s.err = err
	}
	return n, err
}
