package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

const opPut = "put object"

// Put sends body in one request, or in parts if it is large. A body that can be read again is read
// twice and never held in memory; of others, no more is in memory than limits.memory over all calls.
func (s *Store) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	if err := errors.Join(s.check(ctx, opPut, key), storage.CheckSize(opPut, key, size)); err != nil {
		return err
	}
	seeker, start, again := position(body)
	at, random := body.(io.ReaderAt)
	switch {
	case again && size <= s.limits.single:
		return s.putOne(ctx, key, &window{body: seeker, start: start, size: size}, seeker, size)
	case again && random:
		return s.putParts(ctx, key, size, &section{at: at, start: start, size: size})
	case size <= s.limits.buffered:
		return s.putBuffered(ctx, key, body, size)
	default:
		return s.putParts(ctx, key, size, &stream{body: body})
	}
}

// position reports whether body can be read again, and where it stands.
func position(body io.Reader) (io.ReadSeeker, int64, bool) {
	seeker, ok := body.(io.ReadSeeker)
	if !ok {
		return nil, 0, false
	}
	start, err := seeker.Seek(0, io.SeekCurrent)
	return seeker, start, err == nil
}

// putBuffered holds the body in memory, as far as there is room.
func (s *Store) putBuffered(ctx context.Context, key string, body io.Reader, size int64) error {
	content, release, err := s.hold(ctx, size)
	if err != nil {
		return err
	}
	defer release()
	n, err := io.ReadFull(&storage.ContextReader{Ctx: ctx, R: body}, content)
	if shortRead(err) {
		return storage.BodyError(opPut, key, int64(n), size)
	}
	if err == nil {
		err = atEnd(ctx, key, body, size)
	}
	if err != nil {
		return s.classify(opPut, key, err)
	}
	held := bytes.NewReader(content)
	return s.putOne(ctx, key, &window{body: held, size: size}, held, size)
}

// hold reserves memory for n bytes and gives it.
func (s *Store) hold(ctx context.Context, n int64) (content []byte, release func(), err error) {
	reserved := min(n, s.limits.memory)
	if err := s.memory.Acquire(ctx, reserved); err != nil {
		return nil, nil, err
	}
	return make([]byte, n), func() { s.memory.Release(reserved) }, nil
}

func shortRead(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) }

// atEnd refuses a body that has more than was announced.
func atEnd(ctx context.Context, key string, body io.Reader, size int64) error {
	n, err := io.ReadFull(&storage.ContextReader{Ctx: ctx, R: body}, make([]byte, 1))
	switch {
	case n > 0:
		return storage.BodyError(opPut, key, size+1, size)
	case shortRead(err):
		return ctx.Err()
	default:
		return err
	}
}

// putOne sends the object in one request. The digest is taken from whole, which shows one byte more
// than is sent if there is one.
func (s *Store) putOne(ctx context.Context, key string, content *window, whole io.Reader, size int64) error {
	d, err := s.digest(ctx, opPut, key, whole, size)
	if err != nil {
		return s.classify(opPut, key, err)
	}
	content.moved = true
	in := &s3.PutObjectInput{
		Bucket: &s.opts.Bucket, Key: s.name(key), Body: content, ContentLength: &size,
		ChecksumSHA256: d.checksum(), ContentMD5: d.contentMD5(),
		StorageClass: types.StorageClass(s.opts.StorageClass), ServerSideEncryption: types.ServerSideEncryption(s.opts.SSE),
		SSEKMSKeyId: optional(s.opts.SSEKMSKeyID),
	}
	out, err := ask(ctx, s, opPut, key, s.client.PutObject, in, d.sign)
	if s.learnsMD5(d, err) {
		if _, err := content.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := content.restore(); err != nil {
			return fmt.Errorf("read the body again: %w", err)
		}
		return s.putOne(ctx, key, content, whole, size)
	}
	if err == nil && aws.ToString(out.ETag) == "" {
		return failure.New(failure.Unsupported, opPut, key+": the answer names no object, so nobody knows whether there is one",
			"Check that the endpoint is that of the S3 service: a console, or a proxy before it, says yes to everything.")
	}
	return err
}

// learnsMD5 recognises the answer of a bucket whose Object Lock takes nothing without Content-MD5. All
// later uploads send it, beginning with the one that was refused.
func (s *Store) learnsMD5(sent digest, err error) bool {
	if sent.md5 != "" || !asksForMD5(err) {
		return false
	}
	s.wantsMD5.Store(true)
	return true
}

// asksForMD5 recognises a refusal of a request without Content-MD5, which older services want for more
// requests, whatever other checksum they have.
func asksForMD5(err error) bool {
	code := codeOf(err)
	return code == "MissingContentMD5" || code == "InvalidRequest" && strings.Contains(err.Error(), "Content-MD5")
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return aws.String(text)
}

// window is size bytes of a body from start on: what the SDK sends, and sends again. It seeks in the
// body only when a read needs it, because not every body can be read from anywhere but its start.
type window struct {
	body        io.ReadSeeker
	start, size int64
	offset      int64 // in the window
	moved       bool  // the body stands somewhere else
}

// Read reads up to the end of the window.
func (w *window) Read(p []byte) (int, error) {
	if w.offset >= w.size {
		return 0, io.EOF
	}
	if w.moved {
		if err := w.restore(); err != nil {
			return 0, err
		}
	}
	n, err := w.body.Read(p[:min(int64(len(p)), w.size-w.offset)])
	w.offset += int64(n)
	return n, err
}

// restore puts the body where the window is.
func (w *window) restore() error {
	_, err := w.body.Seek(w.start+w.offset, io.SeekStart)
	w.moved = err != nil
	return err
}

// Seek only remembers where to read next.
func (w *window) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += w.offset
	case io.SeekEnd:
		offset += w.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d", offset)
	}
	w.moved = w.moved || offset != w.offset
	w.offset = offset
	return offset, nil
}
