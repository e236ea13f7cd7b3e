package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// abortTimeout bounds the removal of the parts of an upload that failed.
const abortTimeout = 30 * time.Second

// parts is where the parts of a body come from, one after the other.
type parts interface {
	// next gives the n bytes at offset; release is called when they are sent.
	next(ctx context.Context, s *Store, key string, offset, n int64) (content io.ReadSeeker, release func(), err error)
	// end refuses a body that is longer than size.
	end(ctx context.Context, key string, size int64) error
}

// section takes parts out of a body that can be read at any place.
type section struct {
	at          io.ReaderAt
	start, size int64
}

func (b *section) next(_ context.Context, _ *Store, _ string, offset, n int64) (io.ReadSeeker, func(), error) {
	return io.NewSectionReader(b.at, b.start+offset, n), func() {}, nil
}

func (b *section) end(ctx context.Context, key string, size int64) error {
	return atEnd(ctx, key, io.NewSectionReader(b.at, b.start+size, 1), size)
}

// stream holds each part in memory while it is sent.
type stream struct{ body io.Reader }

func (b *stream) next(ctx context.Context, s *Store, key string, offset, n int64) (io.ReadSeeker, func(), error) {
	content, release, err := s.hold(ctx, n)
	if err != nil {
		return nil, nil, err
	}
	read, err := io.ReadFull(&storage.ContextReader{Ctx: ctx, R: b.body}, content)
	if err != nil {
		release()
		if shortRead(err) {
			err = storage.BodyError(opPut, key, offset+int64(read), offset+n)
		}
		return nil, nil, err
	}
	return bytes.NewReader(content), release, nil
}

func (b *stream) end(ctx context.Context, key string, size int64) error {
	return atEnd(ctx, key, b.body, size)
}

// putParts sends a body in parts. The object appears when the last request returns; before that
// there are only parts, and after an error not even those.
func (s *Store) putParts(ctx context.Context, key string, size int64, body parts) error {
	var algorithm types.ChecksumAlgorithm
	if s.opts.Checksums {
		algorithm = types.ChecksumAlgorithmSha256
	}
	return s.multipart(ctx, opPut, key, algorithm, func(ctx context.Context, upload *string) ([]types.CompletedPart, error) {
		length := partLength(size, s.limits.part)
		done := make([]types.CompletedPart, (size+length-1)/length)
		group, sending := errgroup.WithContext(ctx)
		group.SetLimit(parallelParts)
		var err error
		for i := range done {
			offset := int64(i) * length
			n := min(length, size-offset)
			var content io.ReadSeeker
			var release func()
			if content, release, err = body.next(sending, s, key, offset, n); err != nil {
				break
			}
			group.Go(func() error {
				defer release()
				var err error
				done[i], err = s.putPart(sending, key, upload, int32(i+1), content, n)
				return err
			})
		}
		if sent := group.Wait(); sent != nil {
			return nil, sent // the reading ended because the sending did
		}
		if err == nil {
			err = body.end(ctx, key, size)
		}
		return done, s.classify(opPut, key, err)
	})
}

// partLength makes parts longer where there would be more than the protocol allows.
func partLength(size, length int64) int64 {
	if needed := (size + maxParts - 1) / maxParts; needed > length {
		return (needed + 1<<20 - 1) >> 20 << 20
	}
	return length
}

func (s *Store) putPart(ctx context.Context, key string, upload *string, number int32, content io.ReadSeeker, n int64) (types.CompletedPart, error) {
	d, err := s.digest(ctx, opPut, key, content, n)
	if err == nil {
		_, err = content.Seek(0, io.SeekStart)
	}
	if err != nil {
		return types.CompletedPart{}, s.classify(opPut, key, err)
	}
	out, err := ask(ctx, s, opPut, key, s.client.UploadPart, &s3.UploadPartInput{
		Bucket: &s.opts.Bucket, Key: s.name(key), UploadId: upload, PartNumber: &number, Body: content, ContentLength: &n,
		ChecksumSHA256: d.checksum(), ContentMD5: d.contentMD5(),
	}, d.sign)
	if s.learnsMD5(d, err) {
		if _, err := content.Seek(0, io.SeekStart); err != nil {
			return types.CompletedPart{}, s.classify(opPut, key, err)
		}
		return s.putPart(ctx, key, upload, number, content, n)
	}
	if err != nil {
		return types.CompletedPart{}, err
	}
	return types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumSHA256: d.checksum()}, nil
}

// uploadMark is the metadata by which an object tells which upload made it.
const uploadMark = "dataguardian-upload"

// multipart opens an upload, lets send fill it, and makes the object of it or removes the parts. With
// an algorithm, every part has to have its checksum.
func (s *Store) multipart(
	ctx context.Context, op, key string, algorithm types.ChecksumAlgorithm, send func(ctx context.Context, upload *string) ([]types.CompletedPart, error),
) (err error) {
	mark := rand.Text()
	in := &s3.CreateMultipartUploadInput{
		Bucket: &s.opts.Bucket, Key: s.name(key), StorageClass: types.StorageClass(s.opts.StorageClass),
		ServerSideEncryption: types.ServerSideEncryption(s.opts.SSE), SSEKMSKeyId: optional(s.opts.SSEKMSKeyID),
		ChecksumAlgorithm: algorithm, Metadata: map[string]string{uploadMark: mark},
	}
	created, err := ask(ctx, s, op, key, s.client.CreateMultipartUpload, in)
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			return
		}
		// A caller that cancelled asked for no other error.
		if left := s.abort(ctx, key, created.UploadId); left != nil && ctx.Err() == nil {
			err = errors.Join(err, left)
		}
	}()
	done, err := send(ctx, created.UploadId)
	if err != nil {
		return err
	}
	_, err = ask(ctx, s, op, key, s.client.CompleteMultipartUpload, &s3.CompleteMultipartUploadInput{
		Bucket: &s.opts.Bucket, Key: s.name(key), UploadId: created.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	})
	if codeOf(err) == "NoSuchUpload" && s.made(ctx, op, key, mark) {
		return nil
	}
	return err
}

// made reports whether the object at key is the one of an upload. The service forgets an upload when it has
// made the object: if its answer is lost, the second request is told that there is no such upload.
func (s *Store) made(ctx context.Context, op, key, mark string) bool {
	found, err := ask(ctx, s, op, key, s.client.HeadObject, &s3.HeadObjectInput{Bucket: &s.opts.Bucket, Key: s.name(key)})
	if err != nil {
		return false // the error of the upload tells
	}
	for name, value := range found.Metadata { // not every service keeps the case of a name
		if strings.EqualFold(name, uploadMark) {
			return value == mark
		}
	}
	return false
}

// abort removes the parts, also when the caller's context has ended: they would be paid for, and no
// listing shows them.
func (s *Store) abort(ctx context.Context, key string, upload *string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	_, err := ask(ctx, s, "remove the parts of an upload that failed", key, s.client.AbortMultipartUpload,
		&s3.AbortMultipartUploadInput{Bucket: aws.String(s.opts.Bucket), Key: s.name(key), UploadId: upload})
	if codeOf(err) == "NoSuchUpload" {
		return nil
	}
	return err
}
