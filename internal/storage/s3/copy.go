package s3

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

const opCopy = "copy object"

// Copy lets the service copy, in parts if the object is too large for one request.
func (s *Store) Copy(ctx context.Context, from, to string) error {
	if err := errors.Join(s.check(ctx, opCopy, from), s.check(ctx, opCopy, to)); err != nil {
		return err
	}
	source, err := s.stat(ctx, opCopy, from)
	if err != nil {
		return err
	}
	switch {
	case from == to: // S3 refuses this
		return nil
	case source.Size > s.limits.copyOne:
		return s.copyParts(ctx, from, to, source.Size)
	}
	_, err = ask(ctx, s, opCopy, from, s.client.CopyObject, &s3.CopyObjectInput{
		Bucket: &s.opts.Bucket, Key: s.name(to), CopySource: s.copySource(from),
		StorageClass: types.StorageClass(s.opts.StorageClass), ServerSideEncryption: types.ServerSideEncryption(s.opts.SSE),
		SSEKMSKeyId: optional(s.opts.SSEKMSKeyID),
	})
	return err
}

func (s *Store) copyParts(ctx context.Context, from, to string, size int64) error {
	length := partLength(size, s.limits.copyPart)
	return s.multipart(ctx, opCopy, to, "", func(ctx context.Context, upload *string) ([]types.CompletedPart, error) {
		done := make([]types.CompletedPart, (size+length-1)/length)
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(parallelParts)
		for i := range done {
			group.Go(func() error {
				number, first := int32(i+1), int64(i)*length
				out, err := ask(ctx, s, opCopy, from, s.client.UploadPartCopy, &s3.UploadPartCopyInput{
					Bucket: &s.opts.Bucket, Key: s.name(to), UploadId: upload, PartNumber: &number, CopySource: s.copySource(from),
					CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", first, min(first+length, size)-1)),
				})
				if err != nil {
					return err
				}
				done[i] = types.CompletedPart{PartNumber: &number, ETag: out.CopyPartResult.ETag}
				return nil
			})
		}
		return done, group.Wait()
	})
}

// copySource is the bucket and the name, escaped as the header wants it: a plus would be a space.
func (s *Store) copySource(key string) *string {
	elements := strings.Split(*s.name(key), "/")
	for i, element := range elements {
		elements[i] = strings.ReplaceAll(url.QueryEscape(element), "+", "%20")
	}
	return aws.String(s.opts.Bucket + "/" + strings.Join(elements, "/"))
}
