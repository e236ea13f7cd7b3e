package ssh

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/pkg/sftp"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// source is the body of an upload. It remembers whether an error is its own, and sums up what it gave.
type source struct {
	ctx  context.Context
	body io.Reader
	size int64
	key  string

	start   int64 // where a body that can be rewound stood, -1 if it can not
	started bool
	lost    error // of the connection on which it was read before
	err     error // the body's own, or the context's
	given   int64
	sum     uint32
}

func (b *source) mark() {
	b.start = -1
	if seeker, ok := b.body.(io.Seeker); ok {
		if at, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			b.start = at
		}
	}
}

// rewind prepares the body for being read, again if it was before.
func (b *source) rewind() error {
	again := b.started
	b.started, b.err, b.given, b.sum = true, nil, 0, 0
	if !again {
		return nil
	}
	if b.start < 0 {
		return failure.Wrap(failure.Unreachable, "", fmt.Errorf("the connection broke and the body can not be read again: %w", b.lost), "")
	}
	_, err := b.body.(io.Seeker).Seek(b.start, io.SeekStart)
	return err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Read ends with the context.
func (b *source) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		b.err = err
		return 0, err
	}
	n, err := b.body.Read(p)
	b.given += int64(n)
	b.sum = crc32.Update(b.sum, castagnoli, p[:n])
	if err != nil && err != io.EOF { //nolint:errorlint // a wrapped EOF is not the end of a body
		b.err = err
	}
	return n, err
}

// writeTo writes the body and checks its length. One byte more than announced is asked for, so that a
// longer body is noticed.
func (b *source) writeTo(file *sftp.File, packet int) error {
	concurrency := min(b.size, writeAhead)/int64(packet) + 1
	_, err := file.ReadFromWithConcurrency(io.LimitReader(b, b.size+1), int(concurrency))
	switch {
	case b.err != nil:
		return b.err
	case err != nil:
		return err
	case b.given != b.size:
		b.err = storage.BodyError("put object", b.key, b.given, b.size)
	}
	return b.err
}
