package s3

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// List reads page after page. What others put into the bucket under names that are no keys, such as
// the "directories" that consoles make, is not listed.
func (s *Store) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	return s.list(ctx, "list objects", prefix, fn)
}

func (s *Store) list(ctx context.Context, op, prefix string, fn func(storage.Object) error) error {
	last := ""
	return s.pages(ctx, op, prefix, &s3.ListObjectsV2Input{}, func(page *s3.ListObjectsV2Output) error {
		for _, found := range page.Contents {
			object, ok, err := s.listed(op, page.EncodingType, found)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if last != "" && object.Key <= last {
				return notSorted(op, object.Key, last)
			}
			last = object.Key
			if err := fn(object); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		return nil
	})
}

// pages asks for one page after the other of what in describes besides the prefix.
func (s *Store) pages(ctx context.Context, op, prefix string, in *s3.ListObjectsV2Input, each func(*s3.ListObjectsV2Output) error) error {
	if err := storage.CheckPrefix(op, prefix); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	in.Bucket, in.Prefix = &s.opts.Bucket, s.name(prefix)
	in.EncodingType = types.EncodingTypeUrl // XML has no way to write every character that a key may have
	if s.limits.page > 0 {
		in.MaxKeys = &s.limits.page
	}
	for {
		page, err := ask(ctx, s, op, prefix, s.client.ListObjectsV2, in)
		if err != nil {
			return err
		}
		if err := each(page); err != nil {
			return err
		}
		if !aws.ToBool(page.IsTruncated) {
			return nil
		}
		if aws.ToString(page.NextContinuationToken) == "" { // what is not listed would look as if it were not there
			return failure.New(failure.Unsupported, op, "the service ends a listing that it says is not complete", "Look for a newer version of the service.")
		}
		in.ContinuationToken = page.NextContinuationToken
	}
}

func notSorted(op, name, last string) error {
	return failure.New(failure.Unsupported, op, fmt.Sprintf("the service lists %q after %q, which is not in byte order", name, last),
		"Use a bucket of the general kind: directory buckets are not sorted.")
}

// listed reads one entry. It is false for what is none of our objects.
func (s *Store) listed(op string, encoding types.EncodingType, found types.Object) (storage.Object, bool, error) {
	key, ours, err := s.keyOf(op, encoding, aws.ToString(found.Key), "")
	if err != nil || !ours {
		return storage.Object{}, false, err
	}
	return storage.Object{Key: key, Size: aws.ToInt64(found.Size), ModTime: aws.ToTime(found.LastModified)}, true, nil
}

// keyOf reads a name, which has the suffix after its key. It is false for what is no key of ours.
func (s *Store) keyOf(op string, encoding types.EncodingType, name, suffix string) (key string, ours bool, err error) {
	if encoding == types.EncodingTypeUrl {
		decoded, err := url.QueryUnescape(name)
		if err != nil {
			return "", false, failure.Wrap(failure.Unsupported, op, fmt.Errorf("a name in the listing can not be read: %w", err), "")
		}
		name = decoded
	}
	key, ours = strings.CutPrefix(strings.TrimSuffix(name, suffix), s.prefix)
	return key, ours && storage.CheckKey(op, key) == nil, nil // somebody else's object is no error
}
