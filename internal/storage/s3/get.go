package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

const opGet = "get object"

// Get asks for the range. A connection that breaks in the middle of the body is replaced, so a long
// read survives a restart of the service.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := s.check(ctx, opGet, key); err != nil {
		return nil, err
	}
	if offset < 0 {
		_, err := storage.CheckRange(opGet, key, offset, length, 0)
		return nil, err
	}
	if length == 0 { // no range says this
		return s.empty(ctx, key, offset)
	}
	out, err := s.open(ctx, key, offset, length, nil)
	switch {
	case statusOf(err) == http.StatusRequestedRangeNotSatisfiable:
		return s.empty(ctx, key, offset)
	case err != nil:
		return nil, err
	}
	return &object{
		ctx: ctx, s: s, key: key, etag: out.ETag, body: out.Body, offset: offset, left: aws.ToInt64(out.ContentLength),
	}, nil
}

// empty gives no bytes of an object that exists and is at least offset bytes long.
func (s *Store) empty(ctx context.Context, key string, offset int64) (io.ReadCloser, error) {
	found, err := s.stat(ctx, opGet, key)
	if err == nil {
		_, err = storage.CheckRange(opGet, key, offset, 0, found.Size)
	}
	if err != nil {
		return nil, err
	}
	return http.NoBody, nil
}

func (s *Store) open(ctx context.Context, key string, offset, length int64, etag *string) (*s3.GetObjectOutput, error) {
	in := &s3.GetObjectInput{Bucket: &s.opts.Bucket, Key: s.name(key), IfMatch: etag}
	switch {
	case length > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	case offset > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", offset))
	}
	out, err := ask(ctx, s, opGet, key, s.client.GetObject, in)
	if err != nil {
		return nil, err
	}
	// Bytes of another place, or an end that nobody announced, must not pass for the object.
	if out.ContentLength == nil || (in.Range != nil && !strings.HasPrefix(aws.ToString(out.ContentRange), fmt.Sprintf("bytes %d-", offset))) {
		_ = out.Body.Close()
		return nil, failure.New(failure.Unsupported, opGet, key+": the service does not say which bytes it sends",
			"Look for a proxy before the service that changes its answers.")
	}
	return out, nil
}

// object reads a body, and goes on with another one where it broke.
type object struct {
	ctx    context.Context //nolint:containedctx // a reader lives as long as the call that opened it
	s      *Store
	key    string
	etag   *string
	body   io.ReadCloser
	offset int64
	left   int64
	broken int // in a row, without a byte between them
	closed bool
}

// maxBroken is how often a body may break without a single byte in between.
const maxBroken = 3

// Read reads on, from a new body if need be.
func (o *object) Read(p []byte) (int, error) {
	for {
		if err := o.ctx.Err(); err != nil {
			return 0, err
		}
		if o.closed {
			return 0, http.ErrBodyReadAfterClose
		}
		if o.left == 0 {
			return 0, io.EOF
		}
		n, err := o.body.Read(p)
		o.offset, o.left = o.offset+int64(n), o.left-int64(n)
		if n > 0 {
			o.broken = 0
			return n, nil
		}
		if err == nil {
			continue
		}
		if err := o.reopen(err); err != nil {
			return 0, err
		}
	}
}

// reopen asks for what is left of the same version of the object. Why the body broke is the error if
// that does not work.
func (o *object) reopen(why error) error {
	if errors.Is(why, io.EOF) {
		why = io.ErrUnexpectedEOF
	}
	if err := o.ctx.Err(); err != nil {
		return err
	}
	if o.broken++; o.broken > maxBroken {
		return failure.Wrap(failure.Unreachable, opGet, fmt.Errorf("%s broke off at byte %d: %w", o.key, o.offset, why), hintUnreachable)
	}
	_ = o.body.Close() // it is broken
	out, err := o.s.open(o.ctx, o.key, o.offset, o.left, o.etag)
	switch {
	case err != nil && statusOf(err) == http.StatusPreconditionFailed:
		return failure.Wrap(failure.Unreachable, opGet, fmt.Errorf("%s broke off and was replaced: %w", o.key, why), hintUnreachable)
	case err != nil:
		o.body = http.NoBody
		return err
	}
	o.body = out.Body
	return nil
}

// Close gives the connection back.
func (o *object) Close() error {
	o.closed = true
	return o.body.Close()
}

// Stat asks for the object's headers.
func (s *Store) Stat(ctx context.Context, key string) (storage.Object, error) {
	const op = "stat object"
	if err := s.check(ctx, op, key); err != nil {
		return storage.Object{}, err
	}
	return s.stat(ctx, op, key)
}

func (s *Store) stat(ctx context.Context, op, key string) (storage.Object, error) {
	out, err := ask(ctx, s, op, key, s.client.HeadObject, &s3.HeadObjectInput{Bucket: &s.opts.Bucket, Key: s.name(key)})
	if err != nil {
		return storage.Object{}, s.explain(ctx, op, key, err)
	}
	return storage.Object{Key: key, Size: aws.ToInt64(out.ContentLength), ModTime: aws.ToTime(out.LastModified)}, nil
}

// explain finds out what a refused HEAD is about: its answer has no body, so a missing bucket looks
// like a missing object and a wrong region like a bad request. The same question as a listing is
// answered in full.
func (s *Store) explain(ctx context.Context, op, key string, err error) error {
	status := statusOf(err)
	if status < 300 || status >= 500 {
		return err
	}
	_, said := ask(ctx, s, op, key, s.client.ListObjectsV2, &s3.ListObjectsV2Input{
		Bucket: &s.opts.Bucket, Prefix: s.name(key), MaxKeys: aws.Int32(1),
	})
	switch {
	case said == nil:
		return err
	case status == http.StatusNotFound && codeOf(said) == "AccessDenied":
		return err // it may read, but not list
	default:
		return said
	}
}
