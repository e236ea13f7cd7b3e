package dataport

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
)

// span is a range of bytes that a request names; length 0 is none.
type span struct{ offset, length int64 }

// parseRange reads "bytes=from-to". Every other form gives none: this is only to ask the storage for no
// more than is needed, the range itself is net/http's.
func parseRange(header string) span {
	from, to, ok := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	first, err := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	if !ok || err != nil || err2 != nil || last < first {
		return span{}
	}
	return span{first, last - first + 1}
}

// rangeReader is an io.ReadSeeker over a content. It opens nothing before the first Read.
type rangeReader struct {
	ctx     context.Context
	content Content
	wanted  span

	position int64
	body     io.ReadCloser // at position; nil until it is needed
	left     int64         // bytes that body still has
	failed   error         // what ended the reading, unless that is the end
}

// Seek moves without touching the storage.
func (r *rangeReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.position
	case io.SeekEnd:
		offset += r.content.Size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	if offset != r.position {
		if err := r.close(); err != nil {
			return 0, err
		}
		r.position = offset
	}
	return offset, nil
}

// Read reads on, and remembers why it could not: net/http does not say.
func (r *rangeReader) Read(p []byte) (int, error) {
	if r.position >= r.content.Size {
		return 0, io.EOF
	}
	n, err := r.read(p)
	r.position, r.left = r.position+int64(n), r.left-int64(n)
	if errors.Is(err, io.EOF) {
		err = nil
		if r.left > 0 {
			err = io.ErrUnexpectedEOF // the object is shorter than it was
		}
	}
	if err != nil {
		r.failed = err
	}
	return n, err
}

func (r *rangeReader) read(p []byte) (n int, err error) {
	if r.left == 0 {
		if err := r.close(); err != nil {
			return 0, err
		}
	}
	if r.body == nil {
		r.left = r.content.Size - r.position
		length := int64(-1)
		if r.wanted.length > 0 && r.wanted.offset == r.position && r.wanted.length < r.left {
			r.left, length = r.wanted.length, r.wanted.length
		}
		if r.body, err = r.content.Open(r.ctx, r.position, length); err != nil {
			return 0, err
		}
	}
	if int64(len(p)) > r.left {
		p = p[:r.left] // an object that has grown is not read beyond the size that was announced
	}
	return r.body.Read(p)
}

func (r *rangeReader) close() error {
	if r.body == nil {
		return nil
	}
	err := r.body.Close()
	r.body, r.left = nil, 0
	return err
}
