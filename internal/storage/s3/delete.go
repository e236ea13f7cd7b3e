package s3

import (
	"context"
	"crypto/md5" //nolint:gosec // the protocol's Content-MD5, against damage on the way
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/dataguardian/dataguardian/internal/failure"
)

const opDelete = "delete object"

// maxBatch is how many objects the protocol deletes in one request.
const maxBatch = 1000

// Delete removes the object. In a bucket with versions it leaves a marker, and the bytes stay until
// the bucket's lifecycle rule removes versions that are no longer current.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := s.check(ctx, opDelete, key); err != nil {
		return err
	}
	_, err := ask(ctx, s, opDelete, key, s.client.DeleteObject, &s3.DeleteObjectInput{Bucket: &s.opts.Bucket, Key: s.name(key)})
	if codeOf(err) == "NoSuchKey" {
		return nil // S3 says so of nothing that is deleted, some look-alikes do
	}
	return err
}

// DeleteMany removes up to a thousand objects with each request, or one by one where the service
// has no such request.
func (s *Store) DeleteMany(ctx context.Context, keys []string) error {
	for _, key := range keys {
		if err := s.check(ctx, opDelete, key); err != nil {
			return err
		}
	}
	var refused error
	for len(keys) > 0 {
		batch := keys[:min(len(keys), maxBatch)]
		keys = keys[len(batch):]
		err := s.deleteBatch(ctx, batch)
		if err != nil && !failure.IsPermanent(failure.ClassOf(err)) {
			return err
		}
		refused = errors.Join(refused, err) // what is refused does not keep the rest
	}
	return refused
}

func (s *Store) deleteBatch(ctx context.Context, keys []string) error {
	if s.noBatch.Load() {
		return s.deleteEach(ctx, keys)
	}
	sentMD5 := s.wantsMD5.Load()
	ids := make([]types.ObjectIdentifier, len(keys))
	for i, key := range keys {
		ids[i].Key = s.name(key)
	}
	out, err := ask(ctx, s, opDelete, fmt.Sprintf("%d objects", len(keys)), s.client.DeleteObjects, &s3.DeleteObjectsInput{
		Bucket: &s.opts.Bucket, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
	}, s.batchChecksum)
	switch {
	case asksForMD5(err) && s.opts.Checksums && !sentMD5:
		s.wantsMD5.Store(true)
		return s.deleteBatch(ctx, keys)
	case failure.ClassOf(err) == failure.Unsupported && codeOf(err) != codeLocked:
		s.noBatch.Store(true)
		return s.deleteEach(ctx, keys)
	case err != nil:
		return err
	}
	var refused error
	for _, e := range out.Errors {
		if aws.ToString(e.Code) == "NoSuchKey" {
			continue
		}
		api := &smithy.GenericAPIError{Code: aws.ToString(e.Code), Message: aws.ToString(e.Message)}
		refused = errors.Join(refused, s.classify(opDelete, aws.ToString(e.Key), api))
	}
	return refused
}

func (s *Store) deleteEach(ctx context.Context, keys []string) error {
	var refused error
	for _, key := range keys {
		err := s.Delete(ctx, key)
		if err != nil && !failure.IsPermanent(failure.ClassOf(err)) {
			return err
		}
		refused = errors.Join(refused, err)
	}
	return refused
}

// batchChecksum sends Content-MD5, which the protocol asks for here, where the checksum headers that
// the SDK sends instead may be refused: MinIO before the summer of 2022 does.
func (s *Store) batchChecksum(o *s3.Options) {
	if s.opts.Checksums && !s.wantsMD5.Load() {
		return
	}
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		_, err := stack.Finalize.Swap("AWSChecksum:ComputeInputPayloadChecksum", contentMD5{})
		if err != nil {
			return fmt.Errorf("set Content-MD5: %w", err)
		}
		return nil
	})
}

// contentMD5 takes the place of the SDK's step that computes a checksum.
type contentMD5 struct{}

// ID is that of the step it replaces.
func (contentMD5) ID() string { return "AWSChecksum:ComputeInputPayloadChecksum" }

// HandleFinalize sets the header.
func (contentMD5) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	request, ok := in.Request.(*smithyhttp.Request)
	if !ok {
		return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("a request of type %T", in.Request)
	}
	sum := md5.New() //nolint:gosec // see above
	_, err := io.Copy(sum, request.GetStream())
	if err == nil {
		err = request.RewindStream()
	}
	if err != nil {
		return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("compute Content-MD5: %w", err)
	}
	request.Header = request.Header.Clone()
	request.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum.Sum(nil)))
	for _, name := range []string{"X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Trailer"} {
		request.Header.Del(name)
	}
	return next.HandleFinalize(ctx, in)
}
